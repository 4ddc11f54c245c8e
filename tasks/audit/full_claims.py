"""What full fine-tuning cost, who allowed it, and what it brought."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.records.base import Cost
from data_contracts.records.decision import Gate, RunReport
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.pilots import SweepPoint
from data_contracts.records.settings import RunSettings
from tasks.audit.claims import Cited, Claim
from tasks.audit.stage_records import FoundStage
from tasks.audit.way import Step
from tasks.decisions.gates.escalation import APPROVAL
from tasks.decisions.gates.rules import GAIN
from tasks.evidence.dossier import PERMIT, REDEMPTIONS, REPORT, REQUEST, read_permit
from tasks.evidence.signing.payloads import key_ids


def full_cost(
    cited: Cited,
    stages: Sequence[FoundStage],
    unreadable: Sequence[str],
    settings: RunSettings | None,
    ended: str,
) -> Iterator[Claim]:
    """What updating base weights took, beside what the pilots took and what was foreseen."""
    full = [stage for stage in stages if _changed_the_base(stage)]
    for file in unreadable:
        yield Claim(sentence=f"Not all of it can be told: {file} cannot be read.", file=file)
    if not full:
        if not unreadable:
            yield _without_training(cited, ended)
        return
    spent = _sum(full)
    times = "1 training" if len(full) == 1 else f"{len(full)} trainings"
    price = settings.machine_hour_price if settings is not None else None
    money = f", {price * spent.seconds / 3600:,.2f} at {price:g} an hour" if price is not None else ""
    yield Claim(sentence=f"{times}: {_told(spent)}{money}.", file=full[0].file)
    tried = [stage for stage in stages if isinstance(stage.record, TrainingEvidence | SweepPoint)]
    pilots = [stage for stage in tried if stage not in full]
    if pilots:
        yield Claim(
            sentence=f"All pilots, seeds and tried rates before it: {_told(_sum(pilots))}.",
            file=pilots[0].file,
        )
    for decision, file in cited:
        for rule in decision.rules:
            if decision.gate is Gate.ESCALATION and rule.name == "forecast within the budget":
                yield Claim(sentence=f"Foreseen beforehand: {rule.observed}.", file=file)


def permission(cited: Cited, dossier: Path, ended: str) -> Iterator[Claim]:
    """Who answered the question whether full fine-tuning may be spent."""
    asked_for = [(decision, file) for decision, file in cited if decision.gate is Gate.ESCALATION]
    if not asked_for:
        yield Claim(sentence="Nobody was asked: the run has not come to the escalation gate.", file=ended)
    for decision, file in asked_for:
        yield Claim(sentence=decision.sentence, file=file)
        for rule in decision.rules:
            if rule.name == APPROVAL:
                yield Claim(sentence=rule.sentence, file=file)
    yield from _permit(dossier)


def _permit(dossier: Path) -> Iterator[Claim]:
    try:
        envelope = (dossier / PERMIT).read_bytes()
        permit, signed = read_permit(envelope), bool(key_ids(envelope))
    except FileNotFoundError:
        return
    except (OSError, EnvelopeRefusedError):
        yield Claim(sentence="There is a permit, which cannot be read.", file=PERMIT)
        return
    word = "A signed permit" if signed else "An unsigned permit"
    yield Claim(
        sentence=f"{word} of the {permit.issuer.value} covers {permit.rung}: {permit.terms}.", file=PERMIT
    )
    for path in sorted((dossier / REDEMPTIONS).glob("*.json")):
        sentence = f"It was redeemed for {path.stem.replace('-', ' ')}."
        yield Claim(sentence=sentence, file=path.relative_to(dossier).as_posix())


def gain(way: Sequence[Step], ended: str) -> list[Claim]:
    """Full against the pilot, row by row."""
    steps = [step for step in way if step.title == f"gate {Gate.JUSTIFICATION.value}"]
    found = [
        Claim(
            sentence=f"{each.rule.sentence}{f' In figures: {each.missed}.' if each.missed else ''}",
            file=step.file,
        )
        for step in steps
        for each in step.rules
        if each.rule.name == GAIN
    ]
    found += [Claim(sentence=step.line, file=step.file) for step in steps]
    return found or [Claim(sentence="There is nothing to compare: full was not judged.", file=ended)]


def kept(report: RunReport | None) -> Iterator[Claim]:
    """What the run offers in the end."""
    if report is None:
        yield Claim(sentence="Nothing yet: the run has not ended.", file=REQUEST)
    elif report.accepted_artifact is None:
        yield Claim(sentence="No trained model is offered.", file=REPORT)
    else:
        yield Claim(sentence=f"The run offers {report.accepted_artifact}.", file=report.accepted_artifact)


def _without_training(cited: Cited, ended: str) -> Claim:
    for decision, file in cited:
        if decision.gate is Gate.JUSTIFICATION:
            return Claim(
                sentence="Full was judged, but what its training took is not in this dossier.", file=file
            )
    nothing = "no weight of the base was changed" if ended == REPORT else "no such training has finished"
    return Claim(sentence=f"Nothing: {nothing}.", file=ended)


def _changed_the_base(stage: FoundStage) -> bool:
    return isinstance(stage.record, TrainingEvidence) and stage.record.permit is not None


def _sum(stages: Sequence[FoundStage]) -> Cost:
    total = stages[0].record.cost
    for stage in stages[1:]:
        total = stage.record.cost.after(total)
    return total


def _told(cost: Cost) -> str:
    return (
        f"{cost.seconds:,.1f} s ({cost.cpu_seconds / 3600:.3g} processor hours), peak memory "
        f"{cost.peak_memory_bytes / 2**30:.2f} GiB"
    )
