"""Reading, checking, splitting and freezing data."""
