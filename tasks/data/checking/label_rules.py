"""How labels are spread over rows and splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.rules.derived import SPLITS
from tasks.data.rules.withholding import WITHHELD, private

Codes = np.ndarray[Any, np.dtype[Any]]

_NAMED = 5
"""Labels named in a finding; of the rest only the number is told."""


@dataclass(frozen=True)
class Finding:
    """What a rule about the whole found."""

    holds: bool
    words: str


def label_share(
    labels: Codes, names: Sequence[str], *, minimum_percent: float, maximum_percent: float
) -> Finding:
    """Whether each label's share of the rows lies within the limits, both in percent."""
    present, counts = np.unique(labels, return_counts=True)
    shares = 100.0 * counts / max(1, len(labels))
    wrong = [
        f"{names[code]} {share:.3g} %"
        for code, share in zip(present, shares, strict=True)
        if not minimum_percent <= share <= maximum_percent
    ]
    if wrong:
        return Finding(False, listed(wrong))
    spread = f"{shares.min():.3g} to {shares.max():.3g} %" if len(shares) else "no rows"
    return Finding(True, spread)


def rows_per_label(labels: Codes, splits: Codes, names: Sequence[str], **minimum: float) -> Finding:
    """Whether each split holds at least its ``minimum`` rows of every label that stands anywhere."""
    wrong = []
    for code in np.unique(labels):
        of_label = splits[labels == code]
        for index, split in enumerate(SPLITS):
            count, least = int((of_label == index).sum()), minimum.get(split.value, 0)
            if count < least:
                wrong.append(f"{names[code]} {count} in {split.value}")
    return Finding(not wrong, listed(wrong) if wrong else "enough of each")


def enough_rows(
    labels: Codes, splits: Codes, names: Sequence[str], *, rows: float, rows_per_label: float
) -> Finding:
    """Whether ``train`` holds ``rows`` rows and, of data with labels, ``rows_per_label`` of each."""
    trained = labels[splits == 0]
    few = [f"{len(trained)} rows in train"] if len(trained) < rows else []
    for code in np.unique(labels[labels >= 0]):
        count = int((trained == code).sum())
        if count < rows_per_label:
            few.append(f"{count} of {names[code]}")
    return Finding(not few, listed(few) if few else f"{len(trained)} rows in train")


def listed(parts: Sequence[str]) -> str:
    """The first few parts, and how many more there are; a label may be somebody's address."""
    first = parts[:_NAMED]
    shown = ", ".join(WITHHELD if flag else part for part, flag in zip(first, private(first), strict=True))
    return shown if len(parts) <= _NAMED else f"{shown} and {len(parts) - _NAMED} more"
