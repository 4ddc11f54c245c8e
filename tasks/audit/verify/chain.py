"""The ledger: its chain, and that it and the dossier tell the same of this run."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from data_contracts.records.base import digest_file
from data_contracts.records.bases import EscalationBasis
from data_contracts.records.ledger import Checkpoint, EntryKind, LedgerEntry
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held, HeldDecision
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import first_asked
from tasks.evidence.dossier import MANIFEST, PERMIT, REDEMPTIONS, REGISTRATION, REPORT
from tasks.evidence.ledger.book import Ledger

_JUDGED = (EntryKind.DECISION, EntryKind.REJECTION)
_LATEST = timedelta(minutes=5)
"""How long after a decision it may be entered; a writer waits a minute for others."""


def chain_faults(
    held: Held, ledger: Ledger, own: Sequence[LedgerEntry], checkpoint: Checkpoint | None
) -> Iterator[FoundFault]:
    """What is wrong with the ledger, and where it and the dossier differ.

    Args:
        own: the entries of the dossier's run, oldest first.
    """
    _, faults = ledger.check(checkpoint)
    for fault in faults:
        yield _fault(f"entry {fault.sequence}" if fault.sequence else "", fault.what)
    if not own:
        yield _fault("", f"it holds no entry of the run {held.run_id}")
        return
    yield from _decisions(held, own)
    yield from _question(held, own)
    yield from _answers(held, ledger)
    yield from _permits(held, own)
    yield from _end(held, own)
    yield from _promotions(held, own)


def superseded(own: Sequence[LedgerEntry], entry: LedgerEntry) -> bool:
    """Whether the run broke off after ``entry`` and went on anew, deciding again what it had decided."""
    return any(each.kind is EntryKind.ATTEMPT and each.sequence > entry.sequence for each in own)


def _decisions(held: Held, own: Sequence[LedgerEntry]) -> Iterator[FoundFault]:
    entered = {entry.about: entry for entry in own if entry.kind in _JUDGED}
    last = 0
    for each in held.decisions:
        entry = entered.pop(each.record.judgement.digest(), None)
        if entry is None:
            yield FoundFault(check=Check.LEDGER, where=each.file, what="the ledger does not hold it")
            continue
        yield from _entry(each, entry)
        if not superseded(own, entry):
            if entry.sequence < last:
                yield _fault(f"entry {entry.sequence}", f"{each.file} stands there before its predecessor")
            yield from _time(each, entry)
        last = max(last, entry.sequence)
    for entry in entered.values():
        if not superseded(own, entry):
            what = f"the dossier lacks the {entry.kind.value} of the {entry.actor} that stands there"
            yield _fault(f"entry {entry.sequence}", what)


def _entry(each: HeldDecision, entry: LedgerEntry) -> Iterator[FoundFault]:
    place = f"entry {entry.sequence}"
    if entry.kind is not EntryKind.of(each.decision):
        yield _fault(place, f"it calls {each.file} a {entry.kind.value}, and its verdict is another")
    if entry.actor != f"gate {each.decision.gate.value}":
        yield _fault(place, f"it says that {entry.actor} made {each.file}")


def _time(each: HeldDecision, entry: LedgerEntry) -> Iterator[FoundFault]:
    made, at = datetime.fromisoformat(each.record.made_at), datetime.fromisoformat(entry.at)
    if not entry.clock_set_back and not timedelta(0) <= at - made <= _LATEST:
        what = f"it was made at {each.record.made_at}, and entered at {entry.at} (entry {entry.sequence})"
        yield FoundFault(check=Check.LEDGER, where=each.file, what=what)


def _question(held: Held, own: Sequence[LedgerEntry]) -> Iterator[FoundFault]:
    registered = _first(own, EntryKind.REGISTRATION)
    if held.registration is not None:
        known = {entry.about for entry in own if entry.kind is EntryKind.REGISTRATION}
        if held.registration.digest() not in known:
            what = "the ledger does not hold it"
            yield FoundFault(check=Check.LEDGER, where=REGISTRATION, what=what)
    looks = [entry for entry in own if entry.kind is EntryKind.LOOK]
    if looks and (registered is None or looks[0].sequence < registered.sequence):
        yield _fault(f"entry {looks[0].sequence}", "rows were looked at before the question was registered")
    entered = {entry.about: entry for entry in own if entry.kind in _JUDGED}
    for each in held.decisions:
        entry = entered.get(each.record.judgement.digest())
        if each.decision.look is None or entry is None:
            continue
        if not looks or looks[0].sequence > entry.sequence:
            what = f"{each.file} looked at {each.decision.look} rows, and no look stands before it"
            yield _fault(f"entry {entry.sequence}", what)


def _answers(held: Held, ledger: Ledger) -> Iterator[FoundFault]:
    for each in held.decisions:
        basis = each.record.judgement.basis
        if not isinstance(basis, EscalationBasis):
            continue
        yield from _asked(held, each, basis, ledger)
        if basis.facts.approval is None:
            continue
        kind = EntryKind.APPROVAL if basis.facts.approval.approved else EntryKind.DENIAL
        digest = basis.facts.approval.digest()
        if not any(entry.kind is kind for entry in ledger.entries(about=digest)):
            what = f"the ledger holds no {kind.value} by {basis.facts.approval.name} that it rests on"
            yield FoundFault(check=Check.LEDGER, where=each.file, what=what)


def _asked(held: Held, each: HeldDecision, basis: EscalationBasis, ledger: Ledger) -> Iterator[FoundFault]:
    """When the question was asked, and how long it waited, is as the ledger has it."""
    quality = [other.decision for other in held.decisions if other.decision.digest() == basis.quality]
    known = first_asked(ledger, subject_of(quality[0])) if quality else None
    made = datetime.fromisoformat(each.record.made_at)
    if basis.facts.asked_at is None and (known is None or datetime.fromisoformat(known) >= made):
        return
    if known is None or basis.facts.asked_at != known:
        what = (
            f"it was first asked at {basis.facts.asked_at}, and the ledger has {known or 'no such question'}"
        )
        yield FoundFault(check=Check.LEDGER, where=each.file, what=what)
        return
    answer = basis.facts.approval
    entered = None if answer is None else next(ledger.entries(about=answer.digest()), None)
    until = made if entered is None else datetime.fromisoformat(entered.at)
    waited = until - datetime.fromisoformat(known)
    if abs(timedelta(days=basis.facts.waited_days) - waited) > _LATEST:
        told = f"{basis.facts.waited_days:.3f} days for an answer"
        what = f"it is said to have waited {told}, and by the ledger it was {waited / timedelta(days=1):.3f}"
        yield FoundFault(check=Check.LEDGER, where=each.file, what=what)


def _permits(held: Held, own: Sequence[LedgerEntry]) -> Iterator[FoundFault]:
    """The permit and what it was redeemed for stand there, and nothing else does."""
    issued = {} if held.permit is None else {PERMIT: held.permit.digest()}
    redeemed = {
        path.relative_to(held.folder).as_posix(): digest_file(path)
        for path in sorted((held.folder / REDEMPTIONS).glob("*.json"))
    }
    for kind, files in ((EntryKind.PERMIT_ISSUED, issued), (EntryKind.PERMIT_REDEEMED, redeemed)):
        entered = {entry.about: entry for entry in own if entry.kind is kind}
        done = kind.value.removeprefix("permit_")
        for file, digest in files.items():
            if entered.pop(digest, None) is None:
                what = f"the ledger does not hold that it was {done} by this run"
                yield FoundFault(check=Check.LEDGER, where=file, what=what)
        for entry in entered.values():
            if not superseded(own, entry):
                what = f"a permit was {done}, and the dossier does not hold it"
                yield _fault(f"entry {entry.sequence}", what)


def _end(held: Held, own: Sequence[LedgerEntry]) -> Iterator[FoundFault]:
    ends = [entry for entry in own if entry.kind is EntryKind.OUTCOME and not superseded(own, entry)]
    if held.report is not None and held.report.digest() not in {entry.about for entry in ends}:
        yield FoundFault(check=Check.LEDGER, where=REPORT, what="the ledger does not hold this outcome")
    if len(ends) > 1:
        yield _fault(f"entry {ends[-1].sequence}", "the run ended twice without having begun anew")
    if held.manifest is not None and held.manifest.ledger_head not in {e.entry_digest for e in ends}:
        what = "the entry of the outcome that it names is not in the ledger: that was written anew"
        yield FoundFault(check=Check.LEDGER, where=MANIFEST, what=what)


def _promotions(held: Held, own: Sequence[LedgerEntry]) -> Iterator[FoundFault]:
    """What was promoted had been accepted before."""
    ended = [entry.sequence for entry in own if entry.kind is EntryKind.OUTCOME]
    for entry in own:
        if entry.kind not in (EntryKind.PROMOTION, EntryKind.ROLLBACK):
            continue
        if not ended or entry.sequence < ended[0]:
            yield _fault(f"entry {entry.sequence}", f"a {entry.kind.value} of a run that had not ended")
        if held.report is not None and held.report.accepted_artifact is None:
            yield _fault(f"entry {entry.sequence}", f"a {entry.kind.value} of a run that accepted nothing")


def _first(own: Sequence[LedgerEntry], kind: EntryKind) -> LedgerEntry | None:
    return next((entry for entry in own if entry.kind is kind), None)


def _fault(place: str, what: str) -> FoundFault:
    return FoundFault(check=Check.LEDGER, where=f"ledger, {place}" if place else "ledger", what=what)
