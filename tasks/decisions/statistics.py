"""Intervals for means of per-example scores.

All bounds are one-sided: ``lower`` alone errs with probability alpha, and so does ``upper`` alone.
Reading both as one interval gives a confidence level of 1 - 2 alpha.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from data_contracts.errors import PairingError
from data_contracts.records.decision import Interval

RESAMPLES = 9_999
"""Bootstrap resamples; one less than a round number so that quantiles fall on order statistics."""

FEWEST_CHANGES = 10
"""A bootstrap needs so many rows that differ; below, its bounds claim more than was seen."""

BOOTSTRAP_SEED = 20_230_817
"""Fixed, so that whoever recomputes an interval from the stored scores gets the same figures."""

Scores = NDArray[np.float64]  # (rows,)


def mean_interval(scores: Scores, *, binary: bool, alpha: float, span: float = 1.0) -> Interval:
    """Bounds for the mean of one sample.

    Proportions get exact Clopper-Pearson bounds; other scores a bootstrap (see ``_bootstrap``, which also
    says what ``span`` is for).

    Raises:
        ValueError: no rows, or a score that is not finite.
    """
    _check(scores)
    if binary:
        return _clopper_pearson(scores, alpha)
    changed = int(np.count_nonzero(scores != np.median(scores)))
    return _bootstrap(scores, alpha, span=span, changed=changed)


def difference_interval(
    first: Scores, second: Scores, *, binary: bool, alpha: float, span: float = 1.0
) -> Interval:
    """Bounds for the mean of ``first - second``, row by row; both must be of the same rows in one order.

    Paired proportions get Newcombe's score interval; other scores a bootstrap of the differences.

    Raises:
        PairingError: the lengths differ.
        ValueError: no rows, or a score that is not finite.
    """
    if len(first) != len(second):
        raise PairingError(f"{len(first)} scores cannot be paired with {len(second)}")
    differences = first - second
    _check(differences)
    if binary:
        return _newcombe(first, second, alpha)
    return _bootstrap(differences, alpha, span=span, changed=int(np.count_nonzero(differences)))


def pair(
    first_ids: Sequence[str], first: Scores, second_ids: Sequence[str], second: Scores
) -> tuple[Scores, Scores]:
    """Both score columns in the row order of ``first``.

    Raises:
        PairingError: a row occurs twice, or only on one side.
    """
    if len(set(first_ids)) != len(first_ids) or len(set(second_ids)) != len(second_ids):
        raise PairingError("a row was scored twice; scores cannot be paired")
    missing = set(first_ids) ^ set(second_ids)
    if missing:
        raise PairingError(
            f"{len(missing)} rows were scored on one side only, {sorted(missing)[0]} for one; "
            "scores of different rows are never paired"
        )
    position = {row_id: index for index, row_id in enumerate(second_ids)}
    order = np.fromiter((position[row_id] for row_id in first_ids), dtype=np.int64, count=len(first_ids))
    return first, second[order]


def _check(scores: Scores) -> None:
    if scores.size == 0:
        raise ValueError("no rows were scored: an interval needs at least one")
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"score {bad} is {scores[bad]}: a mean over it would say nothing")


def _clopper_pearson(scores: Scores, alpha: float) -> Interval:
    """Clopper and Pearson, 1934: bounds from beta quantiles, exact at any size."""
    rows = int(scores.size)
    hits = int(scores.sum())
    lower = 0.0 if hits == 0 else float(stats.beta.ppf(alpha, hits, rows - hits + 1))
    upper = 1.0 if hits == rows else float(stats.beta.ppf(1 - alpha, hits + 1, rows - hits))
    return Interval(
        mean=hits / rows, lower=lower, upper=upper, alpha=alpha, rows=rows, method="clopper-pearson"
    )


def _newcombe(first: Scores, second: Scores, alpha: float) -> Interval:
    """Newcombe, 1998 (Statistics in Medicine 17:2635), method 10, for the difference of paired proportions.

    Wilson bounds of both proportions, combined with their correlation phi. It stays honest where few
    rows differ, which a bootstrap of the differences does not: it never sees the changes that were rare
    enough to be missed.
    """
    rows = int(first.size)
    both = float(((first == 1) & (second == 1)).sum())
    only_first = float(((first == 1) & (second == 0)).sum())
    only_second = float(((first == 0) & (second == 1)).sum())
    neither = rows - both - only_first - only_second
    level = 1.0 - 2.0 * alpha
    one = stats.binomtest(int(both + only_first), rows).proportion_ci(level, method="wilson")
    two = stats.binomtest(int(both + only_second), rows).proportion_ci(level, method="wilson")
    share_one, share_two = (both + only_first) / rows, (both + only_second) / rows
    below_one, above_one = share_one - one.low, one.high - share_one
    below_two, above_two = share_two - two.low, two.high - share_two
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    association = both * neither - only_first * only_second
    if association > 0:
        association = max(association - rows / 2, 0.0)
    phi = association / margins**0.5 if margins > 0 else 0.0
    mean = share_one - share_two
    down = below_one**2 - 2 * phi * below_one * above_two + above_two**2
    up = above_one**2 - 2 * phi * above_one * below_two + below_two**2
    return Interval(
        mean=mean,
        lower=max(-1.0, mean - max(down, 0.0) ** 0.5),
        upper=min(1.0, mean + max(up, 0.0) ** 0.5),
        alpha=alpha,
        rows=rows,
        method="newcombe",
    )


def _bootstrap(scores: Scores, alpha: float, *, span: float, changed: int) -> Interval:
    """BCa bootstrap of the mean (Efron, 1987), or percentile where BCa is undefined.

    BCa needs an acceleration and a bias correction; with heavily tied scores either can fail, and the
    interval then says ``bootstrap-percentile``. Where fewer than ``FEWEST_CHANGES`` rows differ from the
    rest (``changed``), resampling cannot know what it has not seen: the bounds then widen by ``span``, the
    most that one row can show, times the share of rows that alpha still allows to be different and unseen
    (1 - alpha ** (1 / rows), the exact form of the rule of three), and the method is ``few-changes``.
    """
    rows = int(scores.size)
    mean = float(scores.mean())
    if changed < min(FEWEST_CHANGES, rows):
        unseen = span * (1.0 - alpha ** (1.0 / rows))
        return Interval(
            mean=mean, lower=mean - unseen, upper=mean + unseen, alpha=alpha, rows=rows, method="few-changes"
        )
    means = _resampled_means(scores)
    quantiles = _bca_quantiles(scores, means, mean, alpha)
    method = "bootstrap-bca"
    if quantiles is None:
        quantiles, method = (alpha, 1.0 - alpha), "bootstrap-percentile"
    lower, upper = np.quantile(means, quantiles)
    return Interval(mean=mean, lower=float(lower), upper=float(upper), alpha=alpha, rows=rows, method=method)


def _resampled_means(scores: Scores) -> Scores:
    """Means of ``RESAMPLES`` resamples, drawn as counts of distinct values where scores repeat.

    Resampling rows is a multinomial draw over the distinct values, which for scores with few levels
    (differences of accuracies have three) costs nothing; others are drawn in blocks of bounded memory.
    """
    random = np.random.default_rng(BOOTSTRAP_SEED)
    values, counts = np.unique(scores, return_counts=True)
    rows = scores.size
    if values.size <= max(64, rows // 8):
        draws = random.multinomial(rows, counts / rows, size=RESAMPLES)  # (resamples, distinct values)
        return np.asarray(draws @ values / rows, dtype=np.float64)
    block = max(1, 4_000_000 // rows)
    means = [
        scores[random.integers(0, rows, size=(min(block, RESAMPLES - start), rows))].mean(axis=1)
        for start in range(0, RESAMPLES, block)
    ]
    return np.concatenate(means)


def _bca_quantiles(scores: Scores, means: Scores, mean: float, alpha: float) -> tuple[float, float] | None:
    """The two quantile levels of Efron (1987), equation 6.8; ``None`` where they are undefined.

    The acceleration of a mean is its skewness / (6 sqrt(n)), which the jackknife reduces to.
    """
    # Ties must not hang on rounding, or adding a constant to all scores would move the interval.
    nearness = 1e-9 * float(np.ptp(scores))
    tied = np.abs(means - mean) <= nearness
    below = float(((means < mean) & ~tied).mean() + 0.5 * tied.mean())
    if not 0.0 < below < 1.0:
        return None
    bias = float(stats.norm.ppf(below))
    deviations = scores - mean
    acceleration = float((deviations**3).sum() / (6.0 * (deviations**2).sum() ** 1.5))
    levels = []
    for level in (alpha, 1.0 - alpha):
        z = bias + float(stats.norm.ppf(level))
        if 1.0 - acceleration * z <= 0.0:
            return None
        levels.append(float(stats.norm.cdf(bias + z / (1.0 - acceleration * z))))
    if not 0.0 < levels[0] < levels[1] < 1.0:
        return None
    return levels[0], levels[1]
