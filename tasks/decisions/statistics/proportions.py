"""Intervals for proportions, from counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from data_contracts.records.decision import Interval

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class BoundColumns:
    """Two one-sided bounds for each of many estimates."""

    lower: Counts  # (cases,)
    upper: Counts  # (cases,)


@dataclass(frozen=True)
class PairedCounts:
    """How many rows were right on both sides, on one only, on neither; one number or a column of cases."""

    both: Counts
    only_first: Counts
    only_second: Counts
    neither: Counts

    @classmethod
    def of(cls, first: Counts, second: Counts) -> "PairedCounts":
        """The counts of two columns of zeros and ones, of the same rows in one order."""

        def count(one: Counts, two: Counts) -> Counts:
            return np.asarray((one * two).sum(), dtype=np.float64)

        return cls(
            both=count(first, second),
            only_first=count(first, 1.0 - second),
            only_second=count(1.0 - first, second),
            neither=count(1.0 - first, 1.0 - second),
        )

    @property
    def rows(self) -> Counts:
        return self.both + self.only_first + self.only_second + self.neither


def clopper_pearson(hits: float, rows: int, alpha: float) -> Interval:
    """Clopper and Pearson, 1934 (Biometrika 26:404): bounds from beta quantiles, exact at any size.

    ``hits`` may be a fraction, the average over seeds. An average of 0-or-1 scores of one row varies no more
    than one such score with the same mean, so that bounds made for whole counts are wide enough for it.
    """
    lower = 0.0 if hits <= 0 else float(stats.beta.ppf(alpha, hits, rows - hits + 1))
    upper = 1.0 if hits >= rows else float(stats.beta.ppf(1 - alpha, hits + 1, rows - hits))
    return Interval(
        mean=hits / rows, lower=lower, upper=upper, alpha=alpha, rows=rows, method="clopper-pearson"
    )


def newcombe(counts: PairedCounts, alpha: float) -> Interval:
    """``newcombe_bounds`` of one case."""
    bounds, rows = newcombe_bounds(counts, alpha), counts.rows
    return Interval(
        mean=float((counts.only_first - counts.only_second) / rows),
        lower=float(bounds.lower),
        upper=float(bounds.upper),
        alpha=alpha,
        rows=round(float(rows)),
        method="newcombe",
    )


def newcombe_bounds(counts: PairedCounts, alpha: float) -> BoundColumns:
    """Newcombe, 1998 (Statistics in Medicine 17:2635), method 10, for the difference of paired proportions.

    Wilson bounds of both proportions, combined with their correlation phi. It stays honest where few
    rows differ, which a bootstrap of the differences does not: it never sees the changes that were rare
    enough to be missed. Alpha is that of one bound; the paper's is two-sided.
    """
    first, second = counts.both + counts.only_first, counts.both + counts.only_second
    rows = counts.rows
    one, two = _wilson(first, rows, alpha), _wilson(second, rows, alpha)
    below_one, above_one = first / rows - one.lower, one.upper - first / rows
    below_two, above_two = second / rows - two.lower, two.upper - second / rows
    phi = _phi(counts, rows)
    difference = (counts.only_first - counts.only_second) / rows
    down = below_one**2 - 2 * phi * below_one * above_two + above_two**2
    up = above_one**2 - 2 * phi * above_one * below_two + below_two**2
    return BoundColumns(
        lower=np.maximum(difference - np.sqrt(np.maximum(down, 0.0)), -1.0),
        upper=np.minimum(difference + np.sqrt(np.maximum(up, 0.0)), 1.0),
    )


def _phi(counts: PairedCounts, rows: Counts) -> Counts:
    """The correlation of both sides, with Newcombe's correction for continuity where it is positive."""
    margins = (
        (counts.both + counts.only_first)
        * (counts.only_second + counts.neither)
        * (counts.both + counts.only_second)
        * (counts.only_first + counts.neither)
    )
    association = counts.both * counts.neither - counts.only_first * counts.only_second
    association = np.where(association > 0, np.maximum(association - rows / 2, 0.0), association)
    # Where one side is all right or all wrong there is no correlation to speak of.
    return np.asarray(np.where(margins > 0, association / np.sqrt(np.where(margins > 0, margins, 1.0)), 0.0))


def _wilson(hits: Counts, rows: Counts, alpha: float) -> BoundColumns:
    """Wilson, 1927 (JASA 22:209): the score interval.

    Written out because the power of Newcombe's interval needs it for columns of counts, and because
    statsmodels, which has it, takes longer to import than all decisions of a run take to make.
    """
    z = float(stats.norm.isf(alpha))
    share, denominator = hits / rows, 1.0 + z**2 / rows
    middle = (share + z**2 / (2 * rows)) / denominator
    half = z / denominator * np.sqrt(np.maximum(share * (1 - share), 0.0) / rows + (z / rows) ** 2 / 4)
    return BoundColumns(lower=np.maximum(middle - half, 0.0), upper=np.minimum(middle + half, 1.0))
