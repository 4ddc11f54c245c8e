"""How many rows a rule needs, and the least margin that so many rows can decide.

Every rule here is the same: with a *target* and a *margin*, something at the target should pass, which means
lower bound >= target - margin, and something two margins below it should be shown short, which means upper
bound < target - margin. The power is the smaller of both chances. A metric that should be low is turned
around first: for a share, 1 - target.

Sources: for levels of a share the binomial tails themselves, which Clopper and Pearson's bounds invert; for
paired shares the sum over all outcomes (as Lachenbruch, 1992, Statistics in Medicine 11:1521, sizes McNemar's
test by its discordance) with Newcombe's interval, which is the one used; otherwise normal quantiles, for
means corrected by their skewness.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from scipy import stats

from tasks.decisions.statistics.chances import (
    ONE_SEED,
    SeedNoise,
    difference_reaches,
    proportion_reaches,
    seeded_mean_reaches,
)
from tasks.decisions.statistics.proportions import clopper_pearson

MOST_ROWS = 2**24
"""Beyond this a margin counts as undecidable: nobody labels so many rows for one gate."""

_LOOKS = 400
"""Numbers of rows looked at, at most, beyond the first that suffices, since the chance rises in teeth."""


class Rule(Protocol):
    """A rule whose power can be computed."""

    @property
    def widest_margin(self) -> float:
        """The margin beyond which the rule asks for nothing."""

    def chance_to_pass(self, rows: int, margin: float, alpha: float, noise: SeedNoise) -> float:
        """Of something at the target."""

    def chance_to_be_short(self, rows: int, margin: float, alpha: float, noise: SeedNoise) -> float:
        """Of something two margins below the target."""


@dataclass(frozen=True)
class ProportionLevel:
    """Is a share at ``target``, less the margin? One sample, with Clopper and Pearson's bounds."""

    target: float

    @property
    def widest_margin(self) -> float:
        return self.target * (1.0 - 1e-9)

    def chance_to_pass(self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED) -> float:
        return _level_reached(self.target, self.target - margin, rows, alpha, noise)

    def chance_to_be_short(
        self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED
    ) -> float:
        # Too few right rows are too many wrong ones.
        wrong = 1.0 - max(self.target - 2.0 * margin, 0.0)
        return _level_reached(wrong, 1.0 - (self.target - margin), rows, alpha, noise)


@dataclass(frozen=True)
class MeanLevel:
    """Is a mean of continuous scores, or of paired differences of them, at its target, less the margin?"""

    deviation: float
    """Standard deviation of the scores, or of the differences, from row to row."""
    skewness: float = 0.0
    """Of the scores, or of the differences; it counts below 1,000 rows. Turned around, its sign turns."""

    @property
    def widest_margin(self) -> float:
        return math.inf

    def chance_to_pass(self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED) -> float:
        return self._reached(margin, rows, self.skewness, alpha, noise)

    def chance_to_be_short(
        self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED
    ) -> float:
        return self._reached(margin, rows, -self.skewness, alpha, noise)

    def _reached(self, margin: float, rows: int, skewness: float, alpha: float, noise: SeedNoise) -> float:
        """By Hall's expansion (1992, The Bootstrap and Edgeworth Expansion), to the first order in skewness.

        The BCa bound stands off by z - skewness * (2 z**2 + 1) / (6 sqrt(rows)) deviations of the mean, and
        mean and deviation, as estimated, go up together where scores are skewed to the right.
        """
        deviation, tilt = self.deviation / rows**0.5, skewness / rows**0.5
        z = float(stats.norm.isf(alpha))
        stand_off = z - tilt * (2.0 * z**2 + 1.0) / 6.0
        moving = deviation * max(1.0 - stand_off * tilt, 0.1) ** 0.5
        return seeded_mean_reaches(margin, moving, stand_off * deviation, alpha, noise)


@dataclass(frozen=True)
class PairedProportions:
    """Is the difference of two shares on the same rows at ``target``, less the margin? Newcombe's bounds."""

    discordance: float
    """The most rows, as a share, with one side right and the other wrong; registered beforehand."""
    target: float = 0.0
    """0 asks for non-inferiority."""
    level: float = 0.5
    """Share of right rows on the second side, as near as discordance lets it be; little depends on it."""

    @property
    def widest_margin(self) -> float:
        return (1.0 + self.target) * (1.0 - 1e-9)

    def chance_to_pass(self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED) -> float:
        return self._reached(self.target, self.level, margin, rows, alpha, noise)

    def chance_to_be_short(
        self, rows: int, margin: float, alpha: float, noise: SeedNoise = ONE_SEED
    ) -> float:
        # The interval of the second less the first is that of the first less the second, turned around.
        ahead = min(2.0 * margin - self.target, 1.0)
        return self._reached(ahead, self.level - ahead, margin, rows, alpha, noise)

    def _reached(
        self, truth: float, level: float, margin: float, rows: int, alpha: float, noise: SeedNoise
    ) -> float:
        discordance = min(max(self.discordance, abs(truth)), 1.0)
        if noise == ONE_SEED:
            return difference_reaches(
                truth - margin, truth, rows, alpha, discordance=discordance, level=level
            )
        deviation = max(discordance - truth**2, 0.0) ** 0.5 / rows**0.5
        distance = float(stats.norm.isf(alpha)) * deviation
        return seeded_mean_reaches(margin, deviation, distance, alpha, noise)


def power_of(rule: Rule, rows: int, margin: float, *, alpha: float, noise: SeedNoise = ONE_SEED) -> float:
    """The smaller of the chances to pass at the target and to be shown short two margins below it.

    Raises:
        ValueError: the margin is not above zero, or so wide that the rule asks for nothing.
    """
    if not 0.0 < margin <= rule.widest_margin:
        raise ValueError(f"a margin lies above 0 and up to {rule.widest_margin:g}, not at {margin:g}")
    passing = rule.chance_to_pass(rows, margin, alpha, noise)
    return min(passing, rule.chance_to_be_short(rows, margin, alpha, noise))


def rows_needed(rule: Rule, margin: float, *, alpha: float, power: float, noise: SeedNoise = ONE_SEED) -> int:
    """The number of rows from which on the power is at least ``power``.

    Beyond 3,400 rows not each number is looked at, and between them it may dip below by a thousandth or two.

    Raises:
        ValueError: no number of rows up to ``MOST_ROWS`` suffices (with too few seeds none may), or
            ``power_of`` refuses the margin.
    """

    def enough(rows: int) -> bool:
        return power_of(rule, rows, margin, alpha=alpha, noise=noise) >= power

    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_ROWS:
            raise ValueError(
                f"no number of rows decides a margin of {margin:g} with power {power:g}: "
                f"widen the margin, or train more than {noise.seeds} seeds"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    # A tooth is as high as one count is likely, 1 / sqrt(rows), and power rises as rows do in proportion.
    teeth = 50 + 6 * math.isqrt(high)
    step = -(-teeth // _LOOKS)
    failing = [rows for rows in range(high, high + teeth, step) if not enough(rows)]
    return failing[-1] + step if failing else high


def minimum_detectable_effect(
    rule: Rule, rows: int, *, alpha: float, power: float, noise: SeedNoise = ONE_SEED
) -> float:
    """The least margin, in the unit of the score, that ``rows`` rows decide with ``power``, to 3 digits.

    The chance of a count also rises in teeth over margins: just above it power may dip by a point.

    Raises:
        ValueError: no margin is wide enough.
    """

    def enough(margin: float) -> bool:
        return power_of(rule, rows, margin, alpha=alpha, noise=noise) >= power

    high = min(1e-6, rule.widest_margin)
    while not enough(high):
        if high >= min(rule.widest_margin, 1e12):
            raise ValueError(f"{rows} rows decide no margin with power {power:g}: add rows")
        high = min(2.0 * high, rule.widest_margin)
    low = high / 2.0
    while high - low > 1e-3 * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _level_reached(truth: float, threshold: float, rows: int, alpha: float, noise: SeedNoise) -> float:
    if noise == ONE_SEED:
        return proportion_reaches(threshold, truth, rows, alpha)
    deviation = (truth * (1.0 - truth) / rows) ** 0.5
    distance = truth - clopper_pearson(truth * rows, rows, alpha).lower
    return seeded_mean_reaches(truth - threshold, deviation, distance, alpha, noise)
