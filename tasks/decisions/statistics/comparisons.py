"""Tests: is there a difference at all, several hypotheses at once, the p-value that a bound amounts to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from data_contracts.records.decision import Interval
from tasks.decisions.statistics.proportions import PairedCounts
from tasks.decisions.statistics.scores import Scores, refuse_unpaired, refuse_unusable

_SMALLEST_P_VALUE = 1e-9
"""Nobody decides on less, and quantiles so far out are not to be trusted."""


@dataclass(frozen=True)
class HolmResult:
    """Which of several hypotheses are rejected, with one chance of alpha in all to reject any wrongly."""

    alpha: float
    rejected: frozenset[str]
    adjusted: Mapping[str, float]
    """For each hypothesis, the smallest alpha at which it would have been rejected beside the others."""


def mcnemar_p_value(first: Scores, second: Scores) -> float:
    """The two-sided exact p-value that two columns of zeros and ones have one mean; 1 where no row differs.

    McNemar, 1947 (Psychometrika 12:153), in its exact form: of the rows that differ, half should go each way.

    Raises:
        PairingError: the lengths differ.
        ValueError: no rows, or a score that is not finite.
    """
    refuse_unpaired(first, second)
    refuse_unusable(first - second)
    counts = PairedCounts.of(first, second)
    gained, lost = round(float(counts.only_first)), round(float(counts.only_second))
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def holm(p_values: Mapping[str, float], alpha: float) -> HolmResult:
    """Holm, 1979 (Scandinavian Journal of Statistics 6:65): valid however the p-values depend on each other.

    statsmodels, which has it, collects the interpreter's garbage at each call: half a second beside torch.

    Raises:
        ValueError: a p-value is outside [0, 1].
    """
    wrong = {name: value for name, value in p_values.items() if not 0.0 <= value <= 1.0}
    if wrong:
        raise ValueError(f"p-values lie between 0 and 1, not {wrong}")
    rejected: set[str] = set()
    adjusted: dict[str, float] = {}
    largest = 0.0
    for done, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        remaining = len(p_values) - done
        largest = max(largest, value * remaining)
        adjusted[name] = min(1.0, largest)
        # The first that stays stops all after it.
        if len(rejected) == done and value <= alpha / remaining:
            rejected.add(name)
    return HolmResult(
        alpha=alpha,
        rejected=frozenset(rejected),
        adjusted={name: adjusted[name] for name in p_values},
    )


def p_value_above(threshold: float, interval: Callable[[float], Interval]) -> float:
    """The one-sided p-value against a mean below ``threshold``: the least alpha whose lower bound reaches it.

    ``interval`` gives the interval at an alpha. For Clopper-Pearson bounds this is the binomial tail. It is 1
    where the lower bound stays below the threshold at alpha one half, and never less than 1e-9.
    """
    return _p_value(lambda alpha: interval(alpha).lower - threshold)


def p_value_below(threshold: float, interval: Callable[[float], Interval]) -> float:
    """The one-sided p-value against a mean at ``threshold`` or above; see ``p_value_above``."""
    return _p_value(lambda alpha: threshold - interval(alpha).upper)


def _p_value(excess: Callable[[float], float]) -> float:
    if excess(0.5) < 0.0:
        return 1.0
    if excess(_SMALLEST_P_VALUE) >= 0.0:
        return _SMALLEST_P_VALUE
    # On a log scale, as small p-values differ by factors.
    low, high = np.log(_SMALLEST_P_VALUE), np.log(0.5)
    return float(np.exp(optimize.brentq(lambda each: excess(float(np.exp(each))), low, high, xtol=1e-10)))
