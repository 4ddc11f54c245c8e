"""Faults that ruin fine-tuning, planted in good data at known rows."""
