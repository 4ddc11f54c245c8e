"""The gates of the staged run: pure functions from policy and evidence to a decision.

``quality`` and ``justification`` judge levels and paired gains by the same three-way rule: a bound on
the right side passes, a bound on the wrong side fails, and anything else is inconclusive. Only a level
that *fails*, which means its optimistic bound is still short, can escalate.
"""

from dataclasses import dataclass

from data_contracts.errors import PermitRefusedError
from data_contracts.records.decision import Decision, Gate, Interval, RuleResult, Verdict
from data_contracts.records.metrics import METRICS, Metric
from data_contracts.records.permit import Permit
from data_contracts.records.settings import Policy
from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity
from tasks.decisions.statistics import Scores, difference_interval, mean_interval, pair

LEVEL = "level"
LEVEL_OF_BASELINE = "level of the baseline"
UPLIFT = "uplift over the baseline"
GAIN = "gain over the pilot"
SHORTFALL = "demonstrated shortfall"


@dataclass(frozen=True)
class ScoredSplit:
    """One artifact's per-example scores in the policy's metric."""

    name: str
    """As a reader would call it: ``the LoRA pilot``."""
    row_ids: tuple[str, ...]
    scores: Scores
    evidence: str
    """Digest of the scoring evidence they belong to."""


def decide_contract(evidence: ContractEvidence, *, policy: Policy, run_id: str) -> Decision:
    """Passes when every blocking rule of the data contract holds."""
    rules = tuple(_contract_rule(rule) for rule in evidence.rules)
    broken = [rule.name for rule in rules if rule.verdict is Verdict.FAIL]
    sentence = (
        f"The data breaks {len(broken)} blocking rules of {evidence.contract_name}: {', '.join(broken)}."
        if broken
        else f"{evidence.rows_accepted:,} of {evidence.rows_read:,} rows satisfy {evidence.contract_name}."
    )
    return Decision(
        gate=Gate.CONTRACT,
        verdict=_all_of(rules),
        rules=rules,
        sentence=sentence,
        run_id=run_id,
        policy=policy.digest(),
        evidence=(evidence.digest(),),
    )


def decide_quality(pilot: ScoredSplit, baseline: ScoredSplit, *, policy: Policy, run_id: str) -> Decision:
    """Is the pilot good enough, and better than what was there before?"""
    of_baseline = level_rule(baseline, policy)
    rules = (
        level_rule(pilot, policy),
        _gain_rule(UPLIFT, pilot, baseline, policy.minimum_uplift, policy),
        of_baseline.model_copy(update={"name": LEVEL_OF_BASELINE, "decides": False}),
    )
    verdict = _all_of(rules)
    word = {
        Verdict.PASS: "is good enough",
        Verdict.FAIL: "is not good enough",
        Verdict.INCONCLUSIVE: "is neither shown good enough nor shown short",
    }[verdict]
    return Decision(
        gate=Gate.QUALITY,
        verdict=verdict,
        rules=rules,
        sentence=(
            f"{_capital(pilot.name)} {word}, by {_metric(policy).name}. One seed: its spread is unmeasured."
        ),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(pilot.evidence, baseline.evidence),
    )


def decide_escalation(quality: Decision, *, policy: Policy, run_id: str) -> Decision:
    """May full fine-tuning be spent? Only on a pilot demonstrably short of the target.

    Raises:
        ValueError: ``quality`` is not the quality gate's decision of this run under this policy.
    """
    faults = [
        text
        for text, wrong in (
            (f"gate {quality.gate.value}", quality.gate is not Gate.QUALITY),
            (f"run {quality.run_id}", quality.run_id != run_id),
            (f"policy {quality.policy}", quality.policy != policy.digest()),
        )
        if wrong
    ]
    if faults:
        raise ValueError(f"escalation is decided on this run's quality decision, not on {', '.join(faults)}")
    level = next(rule for rule in quality.rules if rule.name == LEVEL)
    short = level.verdict is Verdict.FAIL
    rule = RuleResult(
        name=SHORTFALL,
        observed=level.observed,
        interval=level.interval,
        threshold=f"the optimistic bound misses the lenient target ({level.threshold})",
        verdict=Verdict.PASS if short else Verdict.FAIL,
        sentence=(
            "The pilot falls short even by its optimistic bound."
            if short
            else "The pilot is not shown to fall short; full fine-tuning is not spent on a doubt."
        ),
    )
    return Decision(
        gate=Gate.ESCALATION,
        verdict=rule.verdict,
        rules=(rule,),
        sentence=(
            "Full fine-tuning is allowed once, on this data and this base model."
            if short
            else "Full fine-tuning is not allowed."
        ),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(quality.digest(),),
    )


def issue_permit(escalation: Decision, *, snapshot: str, base_model: str) -> Permit:
    """The permit that a passed escalation gate gives, bound to its run and policy.

    Raises:
        PermitRefusedError: the decision is of another gate, or did not pass.
    """
    if escalation.gate is not Gate.ESCALATION or escalation.verdict is not Verdict.PASS:
        raise PermitRefusedError(
            f"No permit: the {escalation.gate.value} gate says {escalation.verdict.value}; "
            "only a passed escalation gate allows full fine-tuning."
        )
    return Permit(
        run_id=escalation.run_id,
        snapshot=snapshot,
        base_model=base_model,
        policy=escalation.policy,
        decision=escalation,
    )


def decide_justification(
    full: ScoredSplit, pilot: ScoredSplit, baseline: ScoredSplit, *, policy: Policy, run_id: str
) -> Decision:
    """Did full fine-tuning earn its place? It must pass quality itself and beat the pilot."""
    rules = (
        level_rule(full, policy),
        _gain_rule(UPLIFT, full, baseline, policy.minimum_uplift, policy),
        _gain_rule(GAIN, full, pilot, policy.minimum_gain_of_full, policy),
    )
    verdict = _all_of(rules)
    return Decision(
        gate=Gate.JUSTIFICATION,
        verdict=verdict,
        rules=rules,
        sentence=(
            "Full fine-tuning reaches what the pilot missed, and is kept."
            if verdict is Verdict.PASS
            else "Full fine-tuning did not earn its place; nothing is offered for promotion."
        ),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(full.evidence, pilot.evidence, baseline.evidence),
    )


def level_rule(scored: ScoredSplit, policy: Policy) -> RuleResult:
    """Is the mean at the target, less the margin? One-sample, on the metric's own scale."""
    metric = _metric(policy)
    interval = mean_interval(
        scored.scores, binary=metric.binary, alpha=policy.alpha, span=_span(metric, scored.scores)
    )
    interval = _within_range(interval, metric)
    lenient = policy.target - policy.margin if metric.higher_is_better else policy.target + policy.margin
    bound = interval.lower if metric.higher_is_better else interval.upper
    word = "at least" if metric.higher_is_better else "at most"
    return RuleResult(
        name=LEVEL,
        observed=f"{metric.name} {interval}",
        interval=interval,
        threshold=f"{word} {lenient:g} (target {policy.target:g}, margin {policy.margin:g})",
        verdict=_three_way(interval, lenient, higher_is_better=metric.higher_is_better),
        sentence=(
            f"{_capital(scored.name)} scores {interval.mean:.4g} on {interval.rows:,} rows; with "
            f"{1 - policy.alpha:.0%} confidence {word} {bound:.4g}, and {word} {lenient:g} is needed."
        ),
    )


def _gain_rule(
    name: str, better: ScoredSplit, worse: ScoredSplit, minimum: float, policy: Policy
) -> RuleResult:
    """Is the paired gain above ``minimum``? Positive always means better."""
    metric = _metric(policy)
    first, second = pair(better.row_ids, better.scores, worse.row_ids, worse.scores)
    if not metric.higher_is_better:
        first, second = second, first
    interval = difference_interval(
        first, second, binary=metric.binary, alpha=policy.alpha, span=_span(metric, first, second)
    )
    return RuleResult(
        name=name,
        observed=f"{metric.name} better by {interval}",
        interval=interval,
        threshold=f"at least {minimum:g}",
        verdict=_three_way(interval, minimum, higher_is_better=True),
        sentence=(
            f"On the same rows {better.name} is better than {worse.name} by {interval.mean:.4g}; with "
            f"{1 - policy.alpha:.0%} confidence by at least {interval.lower:.4g}, and {minimum:g} is needed."
        ),
    )


def _three_way(interval: Interval, threshold: float, *, higher_is_better: bool) -> Verdict:
    pessimistic, optimistic = (
        (interval.lower, interval.upper) if higher_is_better else (-interval.upper, -interval.lower)
    )
    threshold = threshold if higher_is_better else -threshold
    if pessimistic >= threshold:
        return Verdict.PASS
    return Verdict.FAIL if optimistic < threshold else Verdict.INCONCLUSIVE


def _contract_rule(rule: ContractRule) -> RuleResult:
    blocks = rule.severity is RuleSeverity.BLOCKING and not rule.passed
    note = "" if rule.passed or blocks else f" ({rule.severity.value})"
    return RuleResult(
        name=rule.name,
        observed=rule.observed + note,
        interval=None,
        threshold=rule.expected,
        verdict=Verdict.FAIL if blocks else Verdict.PASS,
        sentence=rule.sentence,
    )


def _all_of(rules: tuple[RuleResult, ...]) -> Verdict:
    """Fails if any deciding rule fails, passes if all pass, and is inconclusive otherwise."""
    verdicts = {rule.verdict for rule in rules if rule.decides}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


def _span(metric: Metric, *scores: Scores) -> float:
    """The most by which one row can move: the metric's range, or what was seen where it has no upper end."""
    highest = metric.maximum if metric.maximum is not None else max(float(each.max()) for each in scores)
    return max(highest - metric.minimum, 1e-9)


def _within_range(interval: Interval, metric: Metric) -> Interval:
    """A mean cannot leave the metric's range; a bootstrap's constant-score bounds could."""
    upper = interval.upper if metric.maximum is None else min(interval.upper, metric.maximum)
    return interval.model_copy(update={"lower": max(interval.lower, metric.minimum), "upper": upper})


def _metric(policy: Policy) -> Metric:
    return METRICS[policy.metric]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
