"""Bootstrap intervals of a mean, over rows or over whole clusters of rows, without random numbers."""

from collections.abc import Sequence

from scipy import stats

from data_contracts.records.decision import Interval
from tasks.decisions.statistics.resampling import Units
from tasks.decisions.statistics.scores import Scores

FEWEST_CHANGES = 10
"""A bootstrap needs so many units that differ; below, its bounds claim more than was seen."""


def bootstrap_interval(
    scores: Scores, *, alpha: float, span: float, clusters: Sequence[str] | None = None
) -> Interval:
    """BCa bootstrap of the mean (Efron, 1987), or percentile where BCa is undefined.

    BCa needs an acceleration and a bias correction; with few units either can fail, and the interval then
    says ``bootstrap-percentile``. With ``clusters``, one name a row, whole clusters are resampled (Field
    and Welsh, 2007, JRSS B 69:369) and the method begins with ``clustered-``.

    Where fewer than ``FEWEST_CHANGES`` units differ from the middle one, resampling cannot know what it has
    not seen: the bounds then stand off by at least ``span``, the most that one row can show, times the share
    of units that alpha still allows to be different and unseen (1 - alpha ** (1 / units), the exact form of
    the rule of three), and the method is ``few-changes``.

    Raises:
        PairingError: there are more or fewer cluster names than rows.
    """
    units = Units.of(scores, clusters)
    mean, levels = units.mean, _bca_levels(units, alpha)
    method = "bootstrap-percentile" if levels is None else "bootstrap-bca"
    low, high = levels or (alpha, 1.0 - alpha)
    lower, upper = units.quantile(low), units.quantile(high)
    if units.changed < FEWEST_CHANGES:
        unseen = span * (1.0 - alpha ** (1.0 / units.sums.size))
        lower, upper, method = min(lower, mean - unseen), max(upper, mean + unseen), "few-changes"
    elif units.clustered:
        method = f"clustered-{method}"
    return Interval(mean=mean, lower=lower, upper=upper, alpha=alpha, rows=int(scores.size), method=method)


def _bca_levels(units: Units, alpha: float) -> tuple[float, float] | None:
    """The two quantile levels of Efron (1987), equation 6.8; ``None`` where they are undefined."""
    below = units.share_below(units.mean)
    if units.changed == 0 or not 0.0 < below < 1.0:
        return None
    bias, acceleration = float(stats.norm.ppf(below)), _acceleration(units)
    levels = []
    for level in (alpha, 1.0 - alpha):
        z = bias + float(stats.norm.ppf(level))
        if 1.0 - acceleration * z <= 0.0:
            return None
        levels.append(float(stats.norm.cdf(bias + z / (1.0 - acceleration * z))))
    if not 0.0 < levels[0] < levels[1] < 1.0:
        return None
    return levels[0], levels[1]


def _acceleration(units: Units) -> float:
    """Efron's acceleration by the jackknife over units; for rows it is the skewness / (6 sqrt(rows))."""
    without = (units.sums.sum() - units.sums) / (units.sizes.sum() - units.sizes)
    pull = without.mean() - without
    return float((pull**3).sum() / (6.0 * (pull**2).sum() ** 1.5))
