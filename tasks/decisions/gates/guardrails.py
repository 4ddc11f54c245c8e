"""Guardrails: what must not get worse, whatever the metric gains.

Each is a non-inferiority rule: it passes when the pessimistic bound shows no more harm than its margin
allows, and it *fails*, which ends a run as unsafe, only when the optimistic bound shows harm. Any one
failing has that consequence, so the bound that shows harm is taken at alpha divided by the number of
guardrails (Bonferroni, which Holm's first step is); all must pass, so the other bound needs no correction.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from data_contracts.records.decision import Interval, RuleResult, Verdict
from data_contracts.records.metrics import METRICS
from data_contracts.records.policy import (
    ForgettingRule,
    FormatRule,
    OnBreach,
    Policy,
    ServingRule,
    SliceRule,
)
from tasks.decisions.gates.rules import ScoredRows, confidence, paired_gain, plain_rule
from tasks.decisions.statistics import seeded_difference_interval, seeded_mean_interval

GUARDRAIL = "guardrail: "
"""Begins the name of every rule of this module."""


@dataclass(frozen=True)
class ServingFacts:
    """What serving the trained model takes beside the base."""

    latency_ratio: float
    """Seconds a generated token, or a label, over those of the base."""
    artifact_bytes: int


@dataclass(frozen=True)
class GuardrailEvidence:
    """What the guardrails are judged on, beside the scores themselves."""

    slices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per slice of the policy, the ids of the rows in it."""
    base_losses: ScoredRows | None = None
    """On the general text, in nats a token; one line."""
    trained_losses: ScoredRows | None = None
    """On the same text, one line a seed."""
    predicts_text: bool = True
    """A classifier predicts none, so that what it knows of general text cannot be asked."""
    well_formed: ScoredRows | None = None
    """1 where an answer has the form asked for."""
    serving: ServingFacts | None = None


_NOTHING_TO_FORGET = RuleResult(
    name=f"{GUARDRAIL}forgetting",
    observed="not measured",
    interval=None,
    threshold="none for a classifier",
    verdict=Verdict.PASS,
    sentence="A classifier predicts no text, so whether it has forgotten any is not asked.",
    decides=False,
)

NO_GUARDRAILS = GuardrailEvidence()


def guardrail_rules(
    trained: ScoredRows, base: ScoredRows, evidence: GuardrailEvidence, policy: Policy, alpha: float
) -> tuple[RuleResult, ...]:
    """One rule for each guardrail of the policy.

    Raises:
        ValueError: the policy has a guardrail that ``evidence`` says nothing about.
    """
    rails = policy.guardrails
    count = len(rails.slices) + (rails.forgetting is not None) + (rails.answer_format is not None)
    harm_alpha = alpha / max(1, count)
    rules = [
        _slice_rule(rule, trained, base, evidence.slices[rule.name], policy, alpha, harm_alpha)
        for rule in rails.slices
    ]
    if rails.forgetting is not None and not evidence.predicts_text:
        rules.append(_NOTHING_TO_FORGET)
    elif rails.forgetting is not None:
        if evidence.base_losses is None or evidence.trained_losses is None:
            raise ValueError("the policy guards against forgetting, and no losses on general text are given")
        rules.append(
            _forgetting_rule(
                rails.forgetting, evidence.trained_losses, evidence.base_losses, alpha, harm_alpha
            )
        )
    if rails.answer_format is not None:
        if evidence.well_formed is None:
            raise ValueError("the policy asks for a form of the answers, and their form was not looked at")
        rules.append(_format_rule(rails.answer_format, evidence.well_formed, alpha, harm_alpha))
    if rails.serving is not None:
        if evidence.serving is None:
            raise ValueError("the policy limits the cost of serving, which was not measured")
        rules += _serving_rules(rails.serving, evidence.serving)
    return tuple(rules)


def harmed(rules: tuple[RuleResult, ...]) -> bool:
    """Whether a guardrail that blocks was shown to be harmed."""
    return any(
        rule.decides and rule.verdict is Verdict.FAIL for rule in rules if rule.name.startswith(GUARDRAIL)
    )


def _slice_rule(
    rule: SliceRule,
    trained: ScoredRows,
    base: ScoredRows,
    rows: frozenset[str],
    policy: Policy,
    alpha: float,
    harm_alpha: float,
) -> RuleResult:
    inside, before = trained.only(rows), base.only(rows)
    found = len(inside.row_ids)
    threshold = f"no worse than the baseline by more than {rule.margin:g}"
    if found < rule.minimum_rows:
        return RuleResult(
            name=f"{GUARDRAIL}{rule.name}",
            observed=f"{found} rows",
            interval=None,
            threshold=f"{threshold}, on at least {rule.minimum_rows} rows",
            verdict=Verdict.INCONCLUSIVE,
            sentence=f"{rule.name} has {found} rows to look at; {rule.minimum_rows} are needed to judge it.",
            decides=rule.on_breach is OnBreach.BLOCK,
        )
    metric = METRICS[policy.metric]
    interval = paired_gain(inside, before, metric, alpha)
    harm = paired_gain(inside, before, metric, harm_alpha)
    return _non_inferiority(
        rule.name, interval, harm, -rule.margin, threshold, policy.metric, alpha, rule.on_breach
    )


def _forgetting_rule(
    rule: ForgettingRule, trained: ScoredRows, base: ScoredRows, alpha: float, harm_alpha: float
) -> RuleResult:
    def gain(level: float) -> Interval:
        span = max(float(base.scores.max()), float(trained.scores.max()), 1e-9)
        return seeded_difference_interval(base.scores, trained.scores, binary=False, alpha=level, span=span)

    threshold = f"the loss on a general text rises by no more than {rule.margin:g} nats a token"
    return _non_inferiority(
        "forgetting",
        gain(alpha),
        gain(harm_alpha),
        -rule.margin,
        threshold,
        "loss on a general text",
        alpha,
        rule.on_breach,
    )


def _non_inferiority(
    name: str,
    interval: Interval,
    harm: Interval,
    floor: float,
    threshold: str,
    unit: str,
    alpha: float,
    on_breach: OnBreach,
) -> RuleResult:
    verdict = Verdict.PASS if interval.lower >= floor else Verdict.INCONCLUSIVE
    if harm.upper < floor:
        verdict = Verdict.FAIL
    return RuleResult(
        name=f"{GUARDRAIL}{name}",
        observed=f"{unit} better by {interval}",
        interval=interval,
        threshold=threshold,
        verdict=verdict,
        sentence={
            Verdict.PASS: f"{name} is not harmed: with {confidence(alpha)} confidence {threshold}.",
            Verdict.INCONCLUSIVE: f"{name}: neither harm nor its absence is shown on {interval.rows:,} rows.",
            Verdict.FAIL: f"{name} is harmed: {unit} is worse by at least {-harm.upper:.4g}.",
        }[verdict],
        decides=on_breach is OnBreach.BLOCK,
    )


def _format_rule(rule: FormatRule, well_formed: ScoredRows, alpha: float, harm_alpha: float) -> RuleResult:
    interval = seeded_mean_interval(well_formed.scores, binary=True, alpha=alpha)
    harm = seeded_mean_interval(well_formed.scores, binary=True, alpha=harm_alpha)
    verdict = Verdict.PASS if interval.lower >= rule.minimum_share else Verdict.INCONCLUSIVE
    if harm.upper < rule.minimum_share:
        verdict = Verdict.FAIL
    return RuleResult(
        name=f"{GUARDRAIL}answer format",
        observed=f"well-formed {interval}",
        interval=interval,
        threshold=f"at least {rule.minimum_share:g} match {rule.pattern}",
        verdict=verdict,
        sentence=(
            f"{interval.mean:.1%} of the answers have the form asked for, with {confidence(alpha)} "
            f"confidence at least {interval.lower:.1%}; {rule.minimum_share:.1%} are needed."
        ),
        decides=rule.on_breach is OnBreach.BLOCK,
    )


def _serving_rules(rule: ServingRule, facts: ServingFacts) -> Iterator[RuleResult]:
    if (ratio := rule.maximum_latency_ratio) is not None:
        yield plain_rule(
            f"{GUARDRAIL}latency",
            passed=facts.latency_ratio <= ratio,
            observed=f"{facts.latency_ratio:.2f} times the base's",
            threshold=f"at most {ratio:g}",
            sentence=f"Answering takes {facts.latency_ratio:.2f} times as long as with the base.",
            on_breach=rule.on_breach,
        )
    if (limit := rule.maximum_artifact_bytes) is not None:
        yield plain_rule(
            f"{GUARDRAIL}artifact size",
            passed=facts.artifact_bytes <= limit,
            observed=f"{facts.artifact_bytes / 1e6:,.1f} MB",
            threshold=f"at most {limit / 1e6:,.1f} MB",
            sentence=f"The artifact takes {facts.artifact_bytes / 1e6:,.1f} MB.",
            on_breach=rule.on_breach,
        )
