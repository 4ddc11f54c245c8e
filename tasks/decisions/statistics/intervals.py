"""Intervals for means of per-example scores of one seed.

All bounds are one-sided: ``lower`` alone errs with probability alpha, and so does ``upper`` alone.
Reading both as one interval gives a confidence level of 1 - 2 alpha.
"""

from collections.abc import Sequence

from data_contracts.records.decision import Interval
from tasks.decisions.statistics.bootstrap import bootstrap_interval
from tasks.decisions.statistics.proportions import PairedCounts, clopper_pearson, newcombe
from tasks.decisions.statistics.scores import Scores, refuse_unpaired, refuse_unusable


def mean_interval(
    scores: Scores,
    *,
    binary: bool,
    alpha: float,
    span: float = 1.0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Bounds for the mean of one sample, in the unit of the scores.

    Proportions get exact Clopper-Pearson bounds; other scores a bootstrap (see ``bootstrap_interval``, which
    also says what ``span`` is for). Rows that share a source are no independent witnesses: with
    ``clusters``, one name a row, all scores get the bootstrap of whole clusters.

    Raises:
        PairingError: there are more or fewer cluster names than rows.
        ValueError: no rows, or a score that is not finite.
    """
    refuse_unusable(scores)
    if not binary or clusters is not None:
        return bootstrap_interval(scores, alpha=alpha, span=span, clusters=clusters)
    return clopper_pearson(float(scores.sum()), int(scores.size), alpha)


def difference_interval(
    first: Scores,
    second: Scores,
    *,
    binary: bool,
    alpha: float,
    span: float = 1.0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Bounds for the mean of ``first - second``, row by row; both must be of the same rows in one order.

    Paired proportions get Newcombe's score interval; other scores, and all scores with ``clusters``, a
    bootstrap of the differences.

    Raises:
        PairingError: the lengths differ.
        ValueError: no rows, or a score that is not finite.
    """
    refuse_unpaired(first, second)
    differences = first - second
    refuse_unusable(differences)
    if not binary or clusters is not None:
        return bootstrap_interval(differences, alpha=alpha, span=span, clusters=clusters)
    return newcombe(PairedCounts.of(first, second), alpha)
