"""Calibration of a classifier: does a label that is called 80 % probable turn out right in 80 % of the rows?

Bins of equally many rows (Nguyen and O'Connor, 2015; Nixon et al., 2019) and not of equal width: a
fine-tuned classifier's confidences crowd near 1, where equal widths leave most bins empty and one bin to
say everything. Fifteen of them, as is usual since Guo et al. (2017). The figure is biased upward where bins
hold few rows, so compare it only between models on the same rows.
"""

import numpy as np
from numpy.typing import NDArray

from data_contracts.records.calibration import Reliability, ReliabilityBin
from tasks.training.metrics.labels import accuracy, top_label_probability

Values = NDArray[np.float64]

BINS = 15


def expected_calibration_error(log_probabilities: Values, truth: NDArray[np.int64]) -> float:
    """From log probabilities (rows, labels) and right labels (rows,)."""
    values = np.asarray(log_probabilities, dtype=np.float64)
    right = accuracy(values.argmax(axis=1), truth)
    return reliability(top_label_probability(values), right).expected_calibration_error


def reliability(confidence: Values, right: Values, *, bins: int = BINS) -> Reliability:
    """From the answered label's probability and whether it was right (0 or 1), (rows,) each.

    Rows of equal confidence share a bin, so that the order of the rows shows nowhere; there are then fewer
    bins. At least one row is needed.
    """
    order = np.argsort(confidence, kind="stable")
    sorted_confidence, sorted_right = confidence[order], right[order]
    ends = np.linspace(0, len(order), bins + 1).round().astype(np.int64)[1:]
    last = sorted_confidence[np.maximum(ends, 1) - 1]
    ends = np.unique(np.searchsorted(sorted_confidence, last, side="right"))
    parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    made = tuple(
        ReliabilityBin(
            rows=part.stop - part.start,
            mean_confidence=float(sorted_confidence[part].mean()),
            accuracy=float(sorted_right[part].mean()),
        )
        for part in parts
    )
    error = sum(each.rows * abs(each.mean_confidence - each.accuracy) for each in made) / len(order)
    return Reliability(bins=made, expected_calibration_error=float(error))
