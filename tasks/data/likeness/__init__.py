"""Which texts are nearly alike."""
