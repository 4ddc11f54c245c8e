"""Guardrails: what must not get worse, whatever the metric gains.

Each passes when its pessimistic bound shows no more harm than its margin allows, and it *fails*, which ends a
run as unsafe, only when harm is shown. Any one failing has that consequence, so harm is tested with Holm's
correction over all of them; all must pass, so passing needs none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_contracts.records.decision import Interval, RuleResult, Verdict
from data_contracts.records.policy import (
    ForgettingRule,
    FormatRule,
    LmEvalRule,
    OnBreach,
    Policy,
    ServingRule,
    SliceRule,
)
from tasks.decisions.gates.rules import ScoredRows, confidence, paired_gain, plain_rule
from tasks.decisions.statistics import pair, seeded_difference_interval, seeded_mean_interval
from tasks.decisions.statistics.comparisons import holm, p_value_below

GUARDRAIL = "guardrail: "
"""Begins the name of every rule of this module."""


@dataclass(frozen=True)
class ServingFacts:
    """What serving the trained model takes beside the base."""

    latency_ratio: float
    """Seconds a generated token, or a label, over those of the base."""
    artifact_bytes: int


@dataclass(frozen=True)
class TaskScores:
    """Base and trained model on the same documents of a task, in the task's own metric."""

    base: ScoredRows
    """One line."""
    trained: ScoredRows
    """One line a seed."""
    higher_is_better: bool


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
    tasks: Mapping[str, TaskScores] = field(default_factory=dict)
    """By the name of the policy's rule, what lm-eval found."""


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


@dataclass(frozen=True)
class _Rail:
    """A figure that must not lie below a floor."""

    name: str
    interval: Callable[[float], Interval]
    """Of the figure, at an alpha; more is better."""
    floor: float
    figure: str
    """What it is: ``accuracy better by``."""
    promise: str
    """What holds while nothing is harmed."""
    on_breach: OnBreach


def guardrail_rules(
    trained: ScoredRows, base: ScoredRows, evidence: GuardrailEvidence, policy: Policy, alpha: float
) -> tuple[RuleResult, ...]:
    """One rule for each guardrail of the policy.

    Raises:
        ValueError: the policy has a guardrail that ``evidence`` says nothing about.
    """
    rails = policy.guardrails
    too_few, judged = [], []
    for rule in rails.slices:
        rows = evidence.slices[rule.name]
        if len(rows) < rule.minimum_rows:
            too_few.append(_too_few(rule, len(rows)))
        else:
            judged.append(_slice_rail(rule, trained.only(rows), base.only(rows), policy))
    rules = [*too_few]
    if rails.forgetting is not None and evidence.predicts_text:
        judged.append(_forgetting_rail(rails.forgetting, evidence))
    elif rails.forgetting is not None:
        rules.append(_NOTHING_TO_FORGET)
    if rails.answer_format is not None:
        judged.append(_format_rail(rails.answer_format, evidence))
    judged += [_task_rail(rule, evidence.tasks.get(rule.name)) for rule in rails.lm_eval]
    harmed_names = _harmed(judged, OnBreach.BLOCK, alpha) | _harmed(judged, OnBreach.WARN, alpha)
    rules += [_rule(rail, alpha, harmed=rail.name in harmed_names) for rail in judged]
    if rails.serving is not None:
        if evidence.serving is None:
            raise ValueError("the policy limits the cost of serving, which was not measured")
        rules += _serving_rules(rails.serving, evidence.serving)
    return tuple(rules)


def _harmed(rails: Sequence[_Rail], on_breach: OnBreach, alpha: float) -> frozenset[str]:
    """Among the rails with one consequence: those that only warn make no harm harder to show."""
    family = {
        rail.name: p_value_below(rail.floor, rail.interval) for rail in rails if rail.on_breach is on_breach
    }
    return holm(family, alpha).rejected


def harmed(rules: tuple[RuleResult, ...]) -> bool:
    """Whether a guardrail that blocks was shown to be harmed."""
    return any(
        rule.decides and rule.verdict is Verdict.FAIL for rule in rules if rule.name.startswith(GUARDRAIL)
    )


def _rule(rail: _Rail, alpha: float, *, harmed: bool) -> RuleResult:
    interval = rail.interval(alpha)
    verdict = Verdict.PASS if interval.lower >= rail.floor else Verdict.INCONCLUSIVE
    if harmed:
        verdict = Verdict.FAIL
    return RuleResult(
        name=f"{GUARDRAIL}{rail.name}",
        observed=f"{rail.figure} {interval}",
        interval=interval,
        threshold=rail.promise,
        verdict=verdict,
        sentence={
            Verdict.PASS: f"{rail.name}: no harm; with {confidence(alpha)} confidence {rail.promise}.",
            Verdict.INCONCLUSIVE: (
                f"{rail.name}: neither harm nor its absence is shown on {interval.rows:,} rows."
            ),
            Verdict.FAIL: f"{rail.name} is harmed: {rail.figure} {interval}; asked for: {rail.promise}.",
        }[verdict],
        decides=rail.on_breach is OnBreach.BLOCK,
    )


def _too_few(rule: SliceRule, found: int) -> RuleResult:
    return RuleResult(
        name=f"{GUARDRAIL}{rule.name}",
        observed=f"{found} rows",
        interval=None,
        threshold=f"{_slice_promise(rule)}, on at least {rule.minimum_rows} rows",
        verdict=Verdict.INCONCLUSIVE,
        sentence=f"{rule.name} has {found} rows to look at; {rule.minimum_rows} are needed to judge it.",
        decides=rule.on_breach is OnBreach.BLOCK,
    )


def _slice_rail(rule: SliceRule, trained: ScoredRows, base: ScoredRows, policy: Policy) -> _Rail:
    metric = policy.measure
    return _Rail(
        name=rule.name,
        interval=lambda alpha: paired_gain(trained, base, metric, alpha),
        floor=-rule.margin,
        figure=f"{policy.metric} better by",
        promise=_slice_promise(rule),
        on_breach=rule.on_breach,
    )


def _slice_promise(rule: SliceRule) -> str:
    return f"no worse than the baseline by more than {rule.margin:g}"


def _forgetting_rail(rule: ForgettingRule, evidence: GuardrailEvidence) -> _Rail:
    base, trained = evidence.base_losses, evidence.trained_losses
    if base is None or trained is None:
        raise ValueError("the policy guards against forgetting, and no losses on general text are given")
    span = max(float(base.scores.max()), float(trained.scores.max()), 1e-9)
    return _Rail(
        name="forgetting",
        interval=lambda alpha: seeded_difference_interval(
            base.scores, trained.scores, binary=False, alpha=alpha, span=span
        ),
        floor=-rule.margin,
        figure="loss on a general text better by",
        promise=f"its loss rises by no more than {rule.margin:g} nats a token",
        on_breach=rule.on_breach,
    )


def _task_rail(rule: LmEvalRule, found: TaskScores | None) -> _Rail:
    if found is None:
        raise ValueError(f"the policy guards {rule.name}, and no scores of it are given")
    base, trained = found.base.scores, found.trained.scores
    # Seeds of one rung lie on the same documents, so one pairing serves them all.
    base = pair(found.trained.row_ids, trained[0], found.base.row_ids, base[0])[1][np.newaxis]
    better, worse = (trained, base) if found.higher_is_better else (base, trained)
    both = np.concatenate([base, trained])
    return _Rail(
        name=rule.name,
        interval=lambda alpha: seeded_difference_interval(
            better,
            worse,
            binary=bool(np.isin(both, (0.0, 1.0)).all()),
            alpha=alpha,
            span=max(float(np.ptp(both)), 1e-9),
        ),
        floor=-rule.margin,
        figure=f"{rule.metric} better by",
        promise=f"no worse than the base by more than {rule.margin:g}",
        on_breach=rule.on_breach,
    )


def _format_rail(rule: FormatRule, evidence: GuardrailEvidence) -> _Rail:
    well_formed = evidence.well_formed
    if well_formed is None:
        raise ValueError("the policy asks for a form of the answers, and their form was not looked at")
    return _Rail(
        name="answer format",
        interval=lambda alpha: seeded_mean_interval(well_formed.scores, binary=True, alpha=alpha),
        floor=rule.minimum_share,
        figure="share well-formed",
        promise=f"at least {rule.minimum_share:g} match {rule.pattern}",
        on_breach=rule.on_breach,
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
