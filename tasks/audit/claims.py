"""What a run was asked, what fell short in it, and what was done about it."""

from collections.abc import Iterator, Sequence

from data_contracts.records.base import Record
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.evidence import RunRequest
from data_contracts.records.looks import Registration
from data_contracts.records.pilots import SweepPoint
from data_contracts.records.policy import Remedy
from data_contracts.records.settings import RunSettings
from tasks.audit.stage_records import FoundStage
from tasks.audit.way import JudgedRule, Step
from tasks.evidence.dossier import REQUEST


class Claim(Record):
    """A sentence, and where to check it."""

    sentence: str
    file: str
    """A file or folder inside the dossier."""


Cited = Sequence[tuple[Decision, str]]
"""Decisions with their files inside the dossier."""


def asked(
    request: RunRequest, settings: RunSettings | None, registration: Registration | None
) -> Iterator[Claim]:
    """What was to be found out, by whom, on what, and what was fixed beforehand."""
    where = request.environment
    yield Claim(
        sentence=(
            f"{request.requested_by} asked at {request.requested_at:%Y-%m-%d %H:%M} UTC; carried out on "
            f"{where.processor_count} processors with {where.memory_bytes / 2**30:.1f} GiB, "
            f"by lorafirst's code {where.code[:19]}."
        ),
        file=REQUEST,
    )
    if settings is not None:
        policy = settings.policy
        side = "at least" if policy.measure.higher_is_better else "at most"
        yield Claim(
            sentence=(
                f"Can {settings.model.source} learn the {settings.task.value} task in {settings.data.source} "
                f"without full fine-tuning: {policy.metric} {side} {policy.lenient_target:g} (target "
                f"{policy.target:g}, margin {policy.margin:g}), better than the base by at least "
                f"{policy.minimum_uplift:g}? Policy {policy.name}."
            ),
            file=REQUEST,
        )
    if registration is not None:
        looks = ", ".join(f"{look.rows:,} rows of {look.split.value}" for look in registration.looks)
        yield Claim(
            sentence=(
                f"The question was written down at {registration.registered_at:%Y-%m-%d %H:%M} UTC, before "
                f"the first score: {looks}; earlier looks at these rows: {registration.earlier_looks}."
            ),
            file="registration.json",
        )


def fell_short(way: Sequence[Step], ended: str) -> list[Claim]:
    """Every rule that did not hold; of the fairness gate only the last word, the rest being remedies."""
    gates = [step for step in way if step.verdict is not None]
    fairness = [step for step in gates if step.title == f"gate {Gate.FAIRNESS.value}"]
    found = [
        Claim(sentence=_fault(step, each), file=step.file)
        for step in gates
        if step not in fairness[:-1]
        for each in step.rules
        if each.rule.verdict is Verdict.FAIL
        or (each.rule.decides and each.rule.verdict is Verdict.INCONCLUSIVE)
    ]
    return found or [Claim(sentence="Nothing: every rule that was asked holds.", file=ended)]


def remedies(cited: Cited, stages: Sequence[FoundStage], ended: str) -> list[Claim]:
    """What an unfair pilot was given, in order."""
    points = [stage.record for stage in stages if isinstance(stage.record, SweepPoint)]
    spent = [
        Claim(
            sentence=f"{decision.remedy.value.replace('_', ' ')}{_tried_rates(decision.remedy, points)}, "
            f"because this did not hold: {_broken(decision)}.",
            file=file,
        )
        for decision, file in cited
        if decision.remedy is not None
    ]
    judged = any(decision.gate is Gate.FAIRNESS for decision, _ in cited)
    none = "None was asked for." if judged else "None: no pilot was judged."
    return spent or [Claim(sentence=none, file=ended)]


def _fault(step: Step, each: JudgedRule) -> str:
    rule = each.rule
    word = "not held" if rule.verdict is Verdict.FAIL else "not shown"
    kind = word if rule.decides else f"{word}, a warning"
    exact = f": {each.missed}" if each.missed else ""
    return f"{step.title}, {rule.name} ({kind}): {rule.observed}; asked for: {rule.threshold}{exact}."


def _tried_rates(remedy: Remedy, points: Sequence[SweepPoint]) -> str:
    if remedy is not Remedy.SWEEP or not points:
        return ""
    rates = sorted({point.learning_rate for point in points})
    return f" ({len(points)} trials at rates {', '.join(f'{rate:g}' for rate in rates)})"


def _broken(decision: Decision) -> str:
    return ", ".join(rule.name for rule in decision.rules if rule.verdict is Verdict.FAIL)
