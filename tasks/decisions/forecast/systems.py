"""The systems that are forecast for, and what was measured of them."""

from tasks.decisions.forecast.memory import System

PROCESSOR = System(libraries_bytes=760_000_000)
"""Training on a processor in float32, inside a run."""
