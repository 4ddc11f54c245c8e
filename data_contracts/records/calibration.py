"""How far a classifier's probabilities can be taken at their word."""

from data_contracts.records.base import Record


class ReliabilityBin(Record):
    """Rows whose top label is about equally probable."""

    rows: int
    mean_confidence: float
    """Mean probability of the label that was answered."""
    accuracy: float
    """Share of these rows that it was the right one for."""


class Reliability(Record):
    """Bins in the order of their confidence; together they hold every row."""

    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float
    """Mean over rows of the distance between a bin's confidence and its accuracy, 0 to 1."""
