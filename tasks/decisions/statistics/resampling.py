"""The distribution of a bootstrap mean, computed instead of drawn: that of infinitely many resamples.

What is resampled is a *unit*: a row, or a cluster of rows from one source. A unit carries the sum of its
scores and its number of rows; the mean of a resample is the ratio of both sums (for rows: their mean).

The sum of as many independent draws as there are units is the distribution of one draw convolved with itself
that many times: one Fourier transform there and one back (Clark and Warr, 2021, arXiv:2107.08019, for the
bootstrap; Embrechts and Frei, 2009, Mathematical Methods of Operations Research 69:497, for sums in general,
with Gerber's placing of values on a grid, which keeps their mean). Efron and Tibshirani (1993) call this
limit the ideal bootstrap. Drawing 10,000 resamples of 100,000 rows instead takes a hundred times as long, and
moves the bounds by 1 to 2 % of their width from one random seed to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize

from data_contracts.errors import PairingError
from tasks.decisions.statistics.scores import Scores

_REACH = 8.0
"""The grid reaches so many standard deviations of the sum to either side. What lies beyond is wrapped around;
that is about 1e-6 even where one single outlier makes all of the variance (a Poisson count above 9)."""

_STEPS_OF_A_DEVIATION = 32
"""Grid steps in the standard deviation of one unit. Placing values between them adds at most (1 / 32)**2 / 4
to a variance of 1, so that bounds widen by about one part in 10,000."""

_FEWEST_CELLS = 2**13
"""Costs nothing, and keeps the few sums that a few units can have apart from each other."""

_NEGLIGIBLE = 1e-18
"""Frequencies that contribute less are left out, which are most of them: what remains is below rounding."""

_ROUNDING = 1e-12
"""Scores closer than this, relative to 1 or to the larger of them, are equal."""


@dataclass(frozen=True)
class Units:
    """What is resampled as a whole."""

    sums: Scores  # (units,)
    sizes: Scores  # (units,)
    clustered: bool

    @classmethod
    def of(cls, scores: Scores, clusters: Sequence[str] | None) -> "Units":
        """Rows, or the clusters they belong to.

        Raises:
            PairingError: there are more or fewer cluster names than rows.
        """
        if clusters is None:
            return cls(sums=scores, sizes=np.ones_like(scores), clustered=False)
        if len(clusters) != scores.size:
            raise PairingError(f"{len(clusters)} cluster names cannot be paired with {scores.size} scores")
        names, members = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
        return cls(
            sums=np.bincount(members, weights=scores, minlength=names.size).astype(np.float64),
            sizes=np.bincount(members, minlength=names.size).astype(np.float64),
            clustered=True,
        )

    @property
    def means(self) -> Scores:
        return self.sums / self.sizes

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def changed(self) -> int:
        """How many units differ from the middle one: what a resample can vary."""
        same = np.isclose(self.means, np.median(self.means), rtol=_ROUNDING, atol=_ROUNDING)
        return int(np.count_nonzero(~same))

    def share_below(self, value: float) -> float:
        """The probability that the mean of a resample is below ``value``; ties count half."""
        if self._of_one_size:
            return self._sum.share_below(value * float(self.sizes.sum()))
        # sum(s) / sum(n) < value is sum(s - value * n) < 0, which makes a sum of the ratio of two.
        return _SumOfDraws.of(self.sums - value * self.sizes).share_below(0.0)

    def quantile(self, level: float) -> float:
        """The value below which the means of this share of all resamples lie."""
        if self._of_one_size:
            return self._sum.quantile(level) / float(self.sizes.sum())
        low, high = float(self.means.min()), float(self.means.max())
        if low == high or self.share_below(low) >= level:
            return low
        if self.share_below(high) <= level:
            return high
        near = 1e-7 * (high - low)
        root = optimize.brentq(lambda value: self.share_below(value) - level, low, high, xtol=near)
        return float(root)

    @property
    def _of_one_size(self) -> bool:
        return bool(self.sizes.min() == self.sizes.max())

    @cached_property
    def _sum(self) -> "_SumOfDraws":
        return _SumOfDraws.of(self.sums)


@dataclass(frozen=True)
class _SumOfDraws:
    """The distribution of a sum of as many draws, with replacement, as there are values."""

    center: float
    edges: Scores
    """Right edges of the grid's cells, from the center. (cells,)"""
    cumulative: Scores
    """Probability up to each edge. (cells,)"""

    @classmethod
    def of(cls, values: Scores) -> "_SumOfDraws":
        number, mean, deviation = values.size, float(values.mean()), float(values.std())
        if deviation <= _ROUNDING * max(1.0, float(np.abs(values).max())):
            return cls(center=number * mean, edges=np.zeros(1), cumulative=np.ones(1))
        wanted = 2.0 * _REACH * _STEPS_OF_A_DEVIATION * number**0.5
        cells = max(_FEWEST_CELLS, 1 << int(np.ceil(np.log2(wanted))))
        step = 2.0 * _REACH * deviation * number**0.5 / cells
        place = (values - mean) / step
        left = np.floor(place)
        share, cell = place - left, left.astype(np.int64)
        mass = np.bincount(cell % cells, weights=1.0 - share, minlength=cells)
        mass += np.bincount((cell + 1) % cells, weights=share, minlength=cells)
        spectrum = np.fft.rfft(mass / number)
        kept = np.abs(spectrum) > _NEGLIGIBLE ** (1.0 / number)
        spectrum[kept] **= number
        spectrum[~kept] = 0.0
        total = np.fft.fftshift(np.maximum(np.fft.irfft(spectrum, n=cells), 0.0))
        edges = (np.arange(cells) - cells // 2 + 0.5) * step
        return cls(center=number * mean, edges=edges, cumulative=np.cumsum(total) / total.sum())

    def share_below(self, value: float) -> float:
        if self.edges.size == 1:
            return 0.5 if value == self.center else float(value > self.center)
        return float(np.interp(value - self.center, self.edges, self.cumulative, left=0.0, right=1.0))

    def quantile(self, level: float) -> float:
        return self.center + float(np.interp(level, self.cumulative, self.edges))
