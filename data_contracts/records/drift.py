"""How far new data lie from the last accepted snapshot."""

from enum import StrEnum

from data_contracts.records.base import Record


class DriftAspect(StrEnum):
    """In what respect two sets of rows are compared."""

    LABELS = "labels"
    LENGTHS = "lengths"
    VOCABULARY = "vocabulary"
    ROWS = "rows"
    """Whether a classifier can tell the two apart at all."""


class DriftFigure(Record):
    """One comparison. A difference counts if it is both larger than allowed and no chance."""

    aspect: DriftAspect
    statistic: str
    """Its name."""
    value: float
    p_value: float
    """Probability of such a value, or a larger one, if nothing had changed."""
    rows_before: int
    rows_now: int
    """Rows that the comparison looked at."""

    def drifted(self, *, largest_value: float, alpha: float) -> bool:
        return self.value > largest_value and self.p_value <= alpha

    def __str__(self) -> str:
        return f"{self.statistic} {self.value:.3g} (p = {self.p_value:.2g}, {self.rows_now:,} rows)"


class DriftReport(Record):
    """All comparisons with the last accepted snapshot; retraining decides by them."""

    figures: tuple[DriftFigure, ...]
    """One for each aspect that these rows have."""

    def figure(self, aspect: DriftAspect) -> DriftFigure | None:
        return next((figure for figure in self.figures if figure.aspect is aspect), None)
