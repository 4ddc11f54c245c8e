"""The way a run took: what was tried and what was decided, in the order in which one led to the other.

The order is that of the decisions; work stands before the first decision that cites its evidence by digest.
Times of files say nothing here: a copied dossier has others, and a reused stage is older than its run.
"""

from collections.abc import Iterator, Sequence

from data_contracts.records.base import Cost, Record
from data_contracts.records.decision import Decision, RuleResult, Verdict
from data_contracts.records.evidence import CurvePoint, ScoringEvidence, TrainingEvidence
from data_contracts.records.pilots import SweepPoint
from data_contracts.records.policy import Policy, Remedy
from tasks.audit.shortfalls import limit_of, told_miss
from tasks.audit.stage_records import FoundStage, stage_line


class JudgedRule(Record):
    """One rule with the number that its interval was held against."""

    rule: RuleResult
    limit: float | None
    """In the interval's unit; ``None`` for a rule about a fact."""
    higher_is_better: bool
    missed: str
    """By how much, in words; empty where it passed, or is about a fact."""


class Step(Record):
    """One thing that was tried, or one decision."""

    title: str
    """The stage's folder, or the gate."""
    line: str
    """What came of it."""
    file: str
    """Where in the dossier it can be checked."""
    verdict: Verdict | None = None
    """``None`` for work: only gates judge."""
    rules: tuple[JudgedRule, ...] = ()
    cost: Cost | None = None
    """``None`` for a decision."""
    curve: tuple[CurvePoint, ...] = ()
    """Of a training."""


def the_way(
    decisions: Sequence[Decision], files: Sequence[str], stages: Sequence[FoundStage], policy: Policy | None
) -> tuple[Step, ...]:
    """Every stage and every decision once.

    Args:
        decisions: in the order in which they were made.
        files: of the decisions, inside the dossier.
        stages: in the order of their folders. What no decision cites comes last.
        policy: of the run; ``None`` where it cannot be read, and then no rule has a number beside it.
    """
    left = list(stages)
    steps: list[Step] = []
    for decision, file in zip(decisions, files, strict=True):
        for stage in _led_to(decision, left):
            left.remove(stage)
            steps.append(_tried(stage))
        steps.append(_decided(decision, file, policy))
        if decision.remedy is Remedy.SWEEP:
            for stage in [each for each in left if isinstance(each.record, SweepPoint)]:
                left.remove(stage)
                steps.append(_tried(stage))
    return (*steps, *(_tried(stage) for stage in left))


def judged(rule: RuleResult, policy: Policy | None) -> JudgedRule:
    """``rule`` beside the number that ``policy`` holds it to."""
    limit = limit_of(rule, policy) if policy is not None else None
    return JudgedRule(
        rule=rule,
        limit=limit.value if limit is not None else None,
        higher_is_better=limit is None or limit.higher_is_better,
        missed=told_miss(rule, limit),
    )


def _led_to(decision: Decision, stages: Sequence[FoundStage]) -> Iterator[FoundStage]:
    """Stages that ``decision`` cites, and the trainings whose scorings it cites."""
    cited = set(decision.evidence)
    named = {stage.name for stage in stages if stage.record.digest() in cited}
    trained = {
        stage.name.rpartition("/")[0]
        for stage in stages
        if stage.name in named and isinstance(stage.record, ScoringEvidence)
    }
    return iter([stage for stage in stages if stage.name in named | trained])


def _tried(stage: FoundStage) -> Step:
    return Step(
        title=stage.name,
        line=stage_line(stage.record),
        file=stage.file,
        cost=stage.record.cost,
        curve=stage.record.curve if isinstance(stage.record, TrainingEvidence) else (),
    )


def _decided(decision: Decision, file: str, policy: Policy | None) -> Step:
    own = policy if policy is not None and policy.digest() == decision.policy else None
    return Step(
        title=f"gate {decision.gate.value}",
        line=decision.sentence,
        file=file,
        verdict=decision.verdict,
        rules=tuple(judged(rule, own) for rule in decision.rules),
    )
