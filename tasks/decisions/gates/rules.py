"""What the gates share: scored rows, the three-way rule, levels and paired gains.

A bound on the right side of a threshold passes, a bound on the wrong side fails, and anything else is
inconclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_contracts.errors import PairingError
from data_contracts.records.decision import Interval, RuleResult, Verdict
from data_contracts.records.metrics import Metric
from data_contracts.records.policy import OnBreach, Policy
from tasks.decisions.statistics import (
    Scores,
    pair,
    seeded_difference_interval,
    seeded_mean_interval,
)

LEVEL = "level"
UPLIFT = "uplift over the baseline"
GAIN = "gain over the pilot"


@dataclass(frozen=True)
class ScoredRows:
    """One artifact's per-example scores in the policy's metric, one line a seed."""

    name: str
    """As a reader would call it: ``the LoRA pilot``."""
    row_ids: tuple[str, ...]
    scores: Scores  # (seeds, rows)
    evidence: tuple[str, ...]
    """Digests of the scoring evidence they belong to, one a seed."""

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1] != len(self.row_ids):
            raise PairingError(
                f"{self.name}: scores of shape {self.scores.shape} for {len(self.row_ids)} rows; "
                "expected (seeds, rows)"
            )

    @property
    def seeds(self) -> int:
        return int(self.scores.shape[0])

    def only(self, rows: frozenset[str]) -> "ScoredRows":
        """The same scores, of the rows in ``rows`` alone."""
        kept = [index for index, row_id in enumerate(self.row_ids) if row_id in rows]
        return ScoredRows(
            name=self.name,
            row_ids=tuple(self.row_ids[index] for index in kept),
            scores=self.scores[:, kept],
            evidence=self.evidence,
        )


def alpha_of_look(policy: Policy, *, second: bool, reserve: bool) -> float:
    """How often each bound of one look may err.

    Alpha is spent evenly over the horizon of runs, and inside a run split between the look at ``gate`` and
    the one at ``reserve``. By Bonferroni's inequality the looks together err at most ``policy.alpha`` often,
    however they depend on one another.
    """
    of_run = policy.alpha / policy.looks.horizon
    if not reserve:
        return of_run
    share = policy.looks.reserve_alpha_share
    return of_run * (share if second else 1.0 - share)


def level_rule(scored: ScoredRows, policy: Policy, alpha: float) -> RuleResult:
    """Is the mean at the target, less the margin? One-sample, on the metric's own scale."""
    metric = policy.measure
    interval = seeded_mean_interval(
        scored.scores, binary=metric.binary, alpha=alpha, span=_span(metric, scored.scores)
    )
    interval = _within_range(interval, metric)
    lenient = policy.lenient_target
    bound = interval.lower if metric.higher_is_better else interval.upper
    word = "at least" if metric.higher_is_better else "at most"
    return RuleResult(
        name=LEVEL,
        observed=f"{metric.name} {interval}",
        interval=interval,
        threshold=f"{word} {lenient:g} (target {policy.target:g}, margin {policy.margin:g})",
        verdict=three_way(interval, lenient, higher_is_better=metric.higher_is_better),
        sentence=(
            f"{capital(scored.name)} scores {interval.mean:.4g} on {interval.rows:,} rows"
            f"{_over_seeds(scored.seeds)}; with {confidence(alpha)} confidence {word} {bound:.4g}, "
            f"and {word} {lenient:g} is needed."
        ),
    )


def gain_rule(
    name: str, better: ScoredRows, worse: ScoredRows, minimum: float, policy: Policy, alpha: float
) -> RuleResult:
    """Is the paired gain above ``minimum``? Positive always means better.

    Raises:
        PairingError: the two were scored on different rows.
    """
    interval = paired_gain(better, worse, policy.measure, alpha)
    return RuleResult(
        name=name,
        observed=f"{policy.metric} better by {interval}",
        interval=interval,
        threshold=f"at least {minimum:g}",
        verdict=three_way(interval, minimum, higher_is_better=True),
        sentence=(
            f"On the same rows {better.name} is better than {worse.name} by {interval.mean:.4g}; with "
            f"{confidence(alpha)} confidence by at least {interval.lower:.4g}, and {minimum:g} is needed."
        ),
    )


def paired_gain(better: ScoredRows, worse: ScoredRows, metric: Metric, alpha: float) -> Interval:
    """Bounds for the mean gain of ``better`` over ``worse``, row by row, and seed by seed.

    Raises:
        PairingError: the two were scored on different rows.
    """
    first = better.scores
    second = np.stack([pair(better.row_ids, first[0], worse.row_ids, line)[1] for line in worse.scores])
    if not metric.higher_is_better:
        first, second = second, first
    return seeded_difference_interval(
        first, second, binary=metric.binary, alpha=alpha, span=_span(metric, first, second)
    )


def three_way(interval: Interval, threshold: float, *, higher_is_better: bool) -> Verdict:
    """Passes if the pessimistic bound reaches the threshold, fails if the optimistic one misses it."""
    pessimistic, optimistic = (
        (interval.lower, interval.upper) if higher_is_better else (-interval.upper, -interval.lower)
    )
    threshold = threshold if higher_is_better else -threshold
    if pessimistic >= threshold:
        return Verdict.PASS
    return Verdict.FAIL if optimistic < threshold else Verdict.INCONCLUSIVE


def all_of(rules: Sequence[RuleResult]) -> Verdict:
    """Fails if any deciding rule fails, passes if all pass, and is inconclusive otherwise."""
    verdicts = {rule.verdict for rule in rules if rule.decides}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


def plain_rule(
    name: str,
    *,
    passed: bool,
    observed: str,
    threshold: str,
    sentence: str,
    on_breach: OnBreach = OnBreach.BLOCK,
) -> RuleResult:
    """A rule about a fact, with nothing to be unsure of."""
    return RuleResult(
        name=name,
        observed=observed,
        interval=None,
        threshold=threshold,
        verdict=Verdict.PASS if passed else Verdict.FAIL,
        sentence=sentence,
        decides=on_breach is OnBreach.BLOCK,
    )


def seeds_note(seeds: int) -> str:
    """What a reader must know about how many seeds a verdict rests on."""
    return "One seed: its spread is unmeasured." if seeds == 1 else f"Over {seeds} seeds."


def confidence(alpha: float) -> str:
    """``95 %``, with as many digits as alpha needs."""
    return f"{100.0 * (1.0 - alpha):.6g} %"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _over_seeds(seeds: int) -> str:
    return "" if seeds == 1 else f" over {seeds} seeds"


def _span(metric: Metric, *scores: Scores) -> float:
    """The most by which one row can move: the metric's range, or what was seen where it has no upper end."""
    highest = metric.maximum if metric.maximum is not None else max(float(each.max()) for each in scores)
    return max(highest - metric.minimum, 1e-9)


def _within_range(interval: Interval, metric: Metric) -> Interval:
    """A mean cannot leave the metric's range; a bootstrap's constant-score bounds could."""
    upper = interval.upper if metric.maximum is None else min(interval.upper, metric.maximum)
    return interval.model_copy(update={"lower": max(interval.lower, metric.minimum), "upper": upper})
