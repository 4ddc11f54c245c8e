"""Freezing accepted rows, and the datasheet that says what they are."""
