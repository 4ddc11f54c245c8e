"""The parts of the forecast benchmark."""
