"""The chance that a lower bound reaches a threshold, given the truth: what power is made of."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special, stats

from tasks.decisions.statistics.proportions import Counts, PairedCounts, newcombe_bounds

_POINTS_OF_SPREAD = 400
"""Quantiles of the seeds' observed spread that are averaged over; more change the chance by < 0.001."""

_TAIL = 1e-5
"""Outcomes rarer than this on either side are left out of the sum."""

_SPLITS = 5
"""Nodes of the quadrature over how the rows on which both agree are split."""


@dataclass(frozen=True)
class SeedNoise:
    """How the training seeds of one method differ."""

    seeds: int = 1
    deviation: float = 0.0
    """Standard deviation of the means of single seeds on the same rows, in the unit of the score."""


ONE_SEED = SeedNoise()


def proportion_reaches(threshold: float, truth: float, rows: int, alpha: float) -> float:
    """That Clopper and Pearson's lower bound is at least ``threshold``; exact.

    It is as soon as so many hits or more have, at the threshold, a probability of alpha or less.
    """
    too_few = stats.binom.isf(alpha, rows, threshold)
    return float(stats.binom.sf(too_few, rows, truth))


def difference_reaches(
    threshold: float, truth: float, rows: int, alpha: float, *, discordance: float, level: float
) -> float:
    """That Newcombe's lower bound of a paired difference is at least ``threshold``.

    Summed over how many rows only the first side gets right, and then how many only the second. The rows on
    which both agree split into right and wrong as a normal variable, by Gauss and Hermite's quadrature.
    """
    up, down = (discordance + truth) / 2.0, (discordance - truth) / 2.0
    agreed = max(1.0 - discordance, 1e-12)
    right = min(max(level - down, 0.0), agreed) / agreed
    least, most = stats.binom.isf([1.0 - _TAIL, _TAIL], rows, up)
    gained = np.arange(max(least, 0.0), most + 1.0)  # (gains,)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_SPLITS)
    lost = _most_losses(gained, rows, right, nodes[:, None], threshold, alpha)  # (splits, gains)
    chance_of_losses = stats.binom.cdf(lost, rows - gained, min(down / max(1.0 - up, 1e-12), 1.0))
    return float(weights / weights.sum() @ chance_of_losses @ stats.binom.pmf(gained, rows, up))


def _most_losses(
    gained: Counts, rows: int, right: float, split: Counts, threshold: float, alpha: float
) -> Counts:
    """How many rows may be lost for the bound to hold, where so many are gained; -1 where none may."""
    low = np.full(np.broadcast_shapes(gained.shape, split.shape), -1.0)
    high = np.broadcast_to(rows - gained, low.shape)
    while np.any(low < high):
        middle = np.ceil((low + high) / 2.0)
        same = rows - gained - middle
        both = np.clip(same * right + split * np.sqrt(same * right * (1.0 - right)), 0.0, same)
        counts = PairedCounts(both=both, only_first=gained, only_second=middle, neither=same - both)
        holds = newcombe_bounds(counts, alpha).lower >= threshold
        low, high = np.where(holds, middle, low), np.where(holds, high, middle - 1.0)
    return low


def seeded_mean_reaches(
    effect: float, deviation: float, distance: float, alpha: float, noise: SeedNoise
) -> float:
    """That the lower bound over seeds is at least ``effect`` below the truth, all estimates being normal.

    ``deviation`` is the standard error that the rows give the mean, and ``distance`` that of the rows' own
    bound from it; the seeds' observed spread is averaged over, since the bound widens with it.
    """
    total = float(np.hypot(deviation, noise.deviation / noise.seeds**0.5))
    if noise.seeds == 1:
        return float(_normal(np.array(effect - distance), total))
    seen = noise.deviation * _spread_seen(noise.seeds) / noise.seeds**0.5
    halves = np.hypot(stats.t.isf(alpha, noise.seeds - 1) * seen, distance)
    return float(_normal(effect - halves, total).mean())


@cache
def _spread_seen(seeds: int) -> Counts:
    """Quantiles of the standard deviation of so many normal seeds, in units of the true one."""
    levels = (np.arange(_POINTS_OF_SPREAD) + 0.5) / _POINTS_OF_SPREAD
    return np.asarray(np.sqrt(stats.chi2.ppf(levels, seeds - 1) / (seeds - 1)))


def _normal(distance: Counts, deviation: float) -> Counts:
    if deviation == 0.0:
        return np.asarray(distance >= 0.0, dtype=np.float64)
    return np.asarray(special.ndtr(distance / deviation))
