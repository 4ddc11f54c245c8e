"""Every gate decided again from what the dossier holds, and what it was told held against the evidence."""

import math
from collections.abc import Iterator

from data_contracts.errors import one_line
from data_contracts.records.bases import FairnessBasis, GuardrailBasis, JustificationBasis, QualityBasis
from data_contracts.records.decision import Decision, Interval, RuleResult
from data_contracts.records.evidence import ScoringEvidence, TrainingEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.snapshot import Split
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.deciding import decide
from tasks.audit.verify.held import UNREADABLE, Held, HeldDecision
from tasks.data.rows.slices import read_slice_columns, rows_of
from tasks.decisions.alternatives import alternatives_to
from tasks.decisions.remedies import trial_of
from tasks.evidence.redaction import is_redacted
from tasks.evidence.scores import SCORES_FILE, read_answers
from tasks.training.answer_format import matches_format
from tasks.training.fit import planned_steps

_ROUNDING = 1e-9
"""Relative; another processor may add up in another order."""


def decision_faults(held: Held) -> Iterator[FoundFault]:
    made: tuple[Decision, ...] = ()
    latest = ""
    for number, each in enumerate(held.decisions, 1):
        expected = f"decisions/{number:02}-{each.decision.gate.value}.json"
        if each.file != expected:
            yield _fault(each, f"it should be {expected}: one is missing, added, or out of order")
        if each.record.made_at < latest:
            yield _fault(each, f"it was made at {each.record.made_at}, before the one that it follows")
        latest = max(latest, each.record.made_at)
        if each.record.judgement.basis.gate is not each.decision.gate:
            yield _fault(each, f"it rests on what the {each.record.judgement.basis.gate.value} gate is told")
        if each.record.alternatives != alternatives_to(each.record.judgement):
            yield _fault(each, "the alternatives that it names are not those that it left")
        try:
            yield from _again(held, each, made)
            yield from _told(held, each)
        except UNREADABLE as error:
            yield _fault(each, f"it cannot be decided again: {one_line(error, 2000)}")
        made = (*made, each.decision)
    if held.manifest is not None and latest > held.manifest.made_at:
        yield FoundFault(
            check=Check.DECISIONS,
            where="manifest.json",
            what=f"it was made at {held.manifest.made_at}, before the last decision ({latest})",
        )


def _again(held: Held, each: HeldDecision, made: tuple[Decision, ...]) -> Iterator[FoundFault]:
    if held.policy is None:
        return
    again = decide(
        each.record.judgement.basis,
        cited=held.cited,
        decisions=made,
        registration=held.registration,
        policy=held.policy,
        run_id=held.run_id,
    )
    for what in differences(again, each.decision):
        yield _fault(each, f"decided again from the evidence, {what}")


def differences(again: Decision, stored: Decision) -> Iterator[str]:
    if again == stored:
        return
    for name in ("gate", "verdict", "evidence", "look", "remedy", "registration"):
        one, other = getattr(again, name), getattr(stored, name)
        if one != other:
            yield f"its {name} is {_short(one)}, and the file says {_short(other)}"
    ours, theirs = ({rule.name: rule for rule in each.rules} for each in (again, stored))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in theirs:
            yield f"it has the rule {name!r}, which the file lacks"
        elif name not in ours:
            yield f"it has no rule {name!r}, which the file has"
        else:
            yield from _rule_differences(ours[name], theirs[name])
    if list(ours) != list(theirs) or len(again.rules) != len(stored.rules):
        yield "its rules are others, or in another order"
    elif again.sentence != stored.sentence:
        yield f"it says {again.sentence!r}, and the file {stored.sentence!r}"


def _rule_differences(again: RuleResult, stored: RuleResult) -> Iterator[str]:
    differs = False
    if not _close(again.interval, stored.interval):
        differs = True
        yield f"the interval of {again.name!r} is {again.interval}, and the file says {stored.interval}"
    for name in ("verdict", "threshold", "decides", "observed", "sentence"):
        one, other = getattr(again, name), getattr(stored, name)
        # What follows from a difference that was told is not told again.
        if one != other and not (differs and name in ("observed", "sentence")):
            differs = True
            yield f"the {name} of {again.name!r} is {_short(one)}, and the file says {_short(other)}"


def _close(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return one is other
    numbers = all(
        math.isclose(getattr(one, name), getattr(other, name), rel_tol=_ROUNDING, abs_tol=_ROUNDING)
        for name in ("mean", "lower", "upper", "alpha")
    )
    return numbers and (one.rows, one.method, one.seeds) == (other.rows, other.method, other.seeds)


def _told(held: Held, each: HeldDecision) -> Iterator[FoundFault]:
    """What a gate was told in figures of its own, beside the evidence that they come from."""
    basis = each.record.judgement.basis
    match basis:
        case FairnessBasis():
            for trial in basis.trials:
                yield from _trial(held, each, trial)
            for point in basis.sweep:
                held.cited.record(point.digest(), SweepPoint)
        case QualityBasis():
            yield from _masks(held, each, basis.guardrails, basis.pilot.evidence, basis.look)
        case JustificationBasis():
            yield from _masks(held, each, basis.guardrails, basis.full.evidence, basis.look)


def _trial(held: Held, each: HeldDecision, trial: PilotTrial) -> Iterator[FoundFault]:
    if trial.diverged or held.policy is None or held.snapshot is None:
        return
    training, scoring = trial.evidence
    evidence = held.cited.record(training, TrainingEvidence)
    again = trial_of(
        evidence,
        held.cited.record(scoring, ScoringEvidence),
        number=trial.number,
        remedy=trial.remedy,
        full_steps=trial.full_steps,
        truncated_share=trial.truncated_share,
        metric=held.policy.metric,
        labels=len(held.snapshot.labels),
    )
    rows = held.snapshot.split(Split.TRAIN).rows
    if held.snapshot.task is not Task.COMPLETION:  # whose texts are cut into several rows
        again = again.model_copy(
            update={
                "full_steps": planned_steps(rows, evidence.training),
                "truncated_share": evidence.truncated_rows / max(1, rows),
            }
        )
    for name in PilotTrial.model_fields:
        if getattr(trial, name) != getattr(again, name):
            told, due = _short(getattr(trial, name)), _short(getattr(again, name))
            yield _fault(each, f"{name} of pilot {trial.number} was told as {told}; its evidence gives {due}")


def _masks(
    held: Held, each: HeldDecision, basis: GuardrailBasis, trained: tuple[str, ...], look: Split
) -> Iterator[FoundFault]:
    if held.policy is None or held.snapshot is None:
        return
    rails = held.policy.guardrails
    if rails.slices:
        columns = read_slice_columns(held.folder / "snapshot", held.snapshot.split(look), held.snapshot.task)
        for rule, told in zip(rails.slices, basis.slices, strict=True):
            if rule.column not in columns.texts:
                continue  # its texts were removed
            if told.rule != rule.name or told.members != rows_of(rule, columns):
                yield _fault(each, f"the rows of the slice {rule.name} are others than the gate was told")
    if rails.answer_format is not None:
        for digest, mask in zip(trained, basis.well_formed, strict=True):
            folder = held.cited.folder(digest)
            if is_redacted(folder / SCORES_FILE, held.cited.record(digest, ScoringEvidence).scores):
                continue  # its answers were removed
            answers = read_answers(folder).answers
            fits = matches_format(answers, rails.answer_format.pattern)
            if mask.flags() != tuple(bool(fit) for fit in fits):
                yield _fault(each, "other answers have the form asked for than the gate was told")


def _short(value: object) -> str:
    return f"{value!s:.160}"


def _fault(each: HeldDecision, what: str) -> FoundFault:
    return FoundFault(check=Check.DECISIONS, where=each.file, what=what)
