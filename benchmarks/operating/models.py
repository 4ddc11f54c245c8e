"""Models whose true level is known: what they score on rows drawn afresh.

Rows differ in difficulty, which all models share; the rest is each seed's own. A seed has a level of its own,
normal around the method's with the seed spread, and kept inside (0, 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Random = np.random.Generator
Scores = NDArray[np.float64]  # (seeds, rows)

SHARED = 0.8
"""Share of the variance of a row's latent score that comes with the row, whichever seed answers it."""

DEVIATION = 0.25
"""Standard deviation of continuous scores from row to row; they have a long tail towards low ones."""

SKEWNESS = -(2**0.5) * (SHARED**1.5 + (1 - SHARED) ** 1.5)
"""Of continuous scores: each part is a gamma variable of shape 2 turned around."""

LEVEL_OF_REFERENCE = 0.7
"""Of the side that paired differences are taken from: all discordances up to 0.4 are possible there."""


@dataclass(frozen=True)
class BinaryRows:
    """Rows that are answered rightly or wrongly."""

    difficulty: NDArray[np.float32]  # (rows,)
    binary = True

    @classmethod
    def draw(cls, rows: int, random: Random) -> "BinaryRows":
        return cls(random.standard_normal(rows, dtype=np.float32))

    def scores(self, levels: Scores, random: Random) -> Scores:
        """Of one model a level: (seeds,) -> (seeds, rows)."""
        own = random.standard_normal((levels.size, self.difficulty.size), dtype=np.float32)
        latent = SHARED**0.5 * self.difficulty + (1 - SHARED) ** 0.5 * own
        return np.asarray(latent < special.ndtri(levels)[:, None], dtype=np.float64)


@dataclass(frozen=True)
class ContinuousRows:
    """Rows that are answered more or less well."""

    difficulty: NDArray[np.float32]  # (rows,)
    binary = False

    @classmethod
    def draw(cls, rows: int, random: Random) -> "ContinuousRows":
        return cls(_skewed((rows,), random))

    def scores(self, levels: Scores, random: Random) -> Scores:
        """Of one model a level: (seeds,) -> (seeds, rows)."""
        own = _skewed((levels.size, self.difficulty.size), random)
        noise = SHARED**0.5 * self.difficulty + (1 - SHARED) ** 0.5 * own
        return np.asarray(levels[:, None] + DEVIATION * noise, dtype=np.float64)


def seed_levels(level: float, spread: float, seeds: int, random: Random) -> Scores:
    """The true levels of single seeds of a method. (seeds,)"""
    return np.clip(level + spread * random.standard_normal(seeds), 1e-3, 1.0 - 1e-3)


def reference_hits(rows: int, random: Random) -> Scores:
    """What a model at ``LEVEL_OF_REFERENCE`` gets right. (1, rows)"""
    return (random.random((1, rows)) < LEVEL_OF_REFERENCE).astype(np.float64)


def changed_hits(hits: Scores, level: float, gains: Scores, discordance: float, random: Random) -> Scores:
    """What models get right that differ from one with known hits: (1, rows), (seeds,) -> (seeds, rows).

    ``level`` is the true level of the known one, and ``gains`` are the true differences of the others. Each
    changes ``discordance`` of the rows, or as many as its gain takes; seeds agree in part on which.
    """
    share = np.maximum(discordance, np.abs(gains))
    to_right = np.minimum((share + gains) / 2.0 / (1.0 - level), 1.0)[:, None]
    to_wrong = np.minimum((share - gains) / 2.0 / level, 1.0)[:, None]
    shape = (gains.size, hits.shape[1])
    own = random.standard_normal(shape, dtype=np.float32)
    latent = SHARED**0.5 * random.standard_normal(shape[1], dtype=np.float32) + (1 - SHARED) ** 0.5 * own
    changes = latent < special.ndtri(np.where(hits > 0.5, to_wrong, to_right))
    return np.asarray(np.where(changes, 1.0 - hits, hits))


def own_variance(level: float) -> float:
    """The part of a row's variance, right or wrong, that is each seed's own: E[p (1 - p)] over rows."""
    at = float(special.ndtri(level))
    both = stats.multivariate_normal(cov=[[1.0, SHARED], [SHARED, 1.0]]).cdf([at, at])
    return level - float(both)


def _skewed(shape: tuple[int, ...], random: Random) -> NDArray[np.float32]:
    """Mean 0, deviation 1, and a long tail to the left."""
    drawn = random.standard_gamma(2.0, size=shape, dtype=np.float32)
    return np.asarray((2.0 - drawn) / 2**0.5, dtype=np.float32)
