"""Rows as token ids."""
