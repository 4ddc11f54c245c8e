"""All checks of one dossier, each to its end: a fault in one hides nothing of another."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from data_contracts.errors import one_line
from data_contracts.records.ledger import Checkpoint, LedgerEntry
from data_contracts.records.statements import Keyring
from data_contracts.records.verification import Check, CheckResult, FoundFault, Verification
from tasks.audit.verify.chain import chain_faults
from tasks.audit.verify.data import data_faults
from tasks.audit.verify.decisions import decision_faults
from tasks.audit.verify.files import file_faults, redaction_note
from tasks.audit.verify.held import UNREADABLE, Held, hold
from tasks.audit.verify.permit import permit_faults
from tasks.audit.verify.question import question_faults
from tasks.audit.verify.request import request_faults
from tasks.audit.verify.scores import score_faults
from tasks.audit.verify.signatures import envelopes, signature_faults, unsigned
from tasks.audit.verify.trainings import training_faults
from tasks.audit.verify.way import way_faults
from tasks.evidence.archive import WEIGHTS
from tasks.evidence.dossier import PERMIT, Dossier
from tasks.evidence.environment import CODE, code_digest
from tasks.evidence.ledger.book import Ledger

RESCORES = "That the scores came from the models: --rescore ROWS asks the artifacts again."
_UNSEEN = "That the weights are those that were trained and scored: they were left out of this dossier."
_NEVER_PROVEN = (
    RESCORES,
    "That the rows are what the world is like, or that nobody had seen the gate rows elsewhere.",
)


def verify_dossier(
    folder: Path,
    *,
    keyring: Keyring | None = None,
    ledger: Ledger | None = None,
    checkpoint: Checkpoint | None = None,
    without_weights: bool = False,
    progress: Callable[[Check], None] = lambda check: None,
) -> Verification:
    """Every fault of the dossier in ``folder``.

    Args:
        keyring: the keys that whoever verifies trusts; without one nobody knows who signed.
        ledger: the ledger of its run, where there is one at hand.
        checkpoint: of that ledger, as somebody else kept it.
        without_weights: files of weights that are not there were left out, and are not missed.
        progress: is told of each check before it begins.
    """
    progress(Check.REQUEST)
    held = hold(Dossier(folder))
    checks: list[CheckResult] = []

    def check(which: Check, count: int, faults: Iterator[FoundFault], note: str = "") -> None:
        progress(which)
        unread = [fault for fault in held.unreadable if fault.check is which]
        found = (*unread, *_guarded(which, faults))
        if without_weights:
            found = tuple(fault for fault in found if not _left_out(held, fault.where))
        checks.append(CheckResult(check=which, looked_at=count, note=note, faults=found))

    signed = list(envelopes(held))
    check(
        Check.SIGNATURES,
        len(signed),
        iter(()) if keyring is None else signature_faults(held, keyring),
        "" if keyring is not None else _unchecked(held, len(signed)),
    )
    files = len(held.manifest.files) if held.manifest else 0
    left_out = sum(_left_out(held, file.path) for file in held.manifest.files) if held.manifest else 0
    note = f"{left_out} files of weights were left out" if without_weights and left_out else ""
    check(Check.FILES, files, file_faults(held), "; ".join(filter(None, (_guarded_note(held), note))))
    check(Check.REQUEST, 1, request_faults(held))
    check(Check.DATA, len(held.snapshot.splits) if held.snapshot else 0, data_faults(held))
    check(Check.QUESTION, 1 if held.registration else 0, question_faults(held))
    check(Check.TRAININGS, len(held.trainings), training_faults(held))
    check(Check.SCORES, len(held.scorings), score_faults(held))
    check(Check.DECISIONS, len(held.decisions), decision_faults(held))
    check(Check.WAY, len(held.decisions), way_faults(held))
    check(Check.PERMIT, 1 if (held.folder / PERMIT).exists() else 0, permit_faults(held))
    if ledger is None:
        check(Check.LEDGER, 0, iter(()), "no ledger was at hand")
    else:
        own = _own_entries(ledger, held.run_id)
        check(Check.LEDGER, len(own), chain_faults(held, ledger, own, checkpoint))
    return Verification(
        run_id=held.run_id,
        dossier=str(folder),
        outcome=held.report.outcome if held.report else None,
        signed=keyring is not None and bool(signed) and not checks[0].faults,
        checks=tuple(checks),
        not_proven=(
            *(_other_code(held) if any(each.faults for each in checks) else ()),
            *((_UNSEEN,) if note else ()),
            *_not_proven(held, keyring, ledger, checkpoint),
        ),
    )


def _other_code(held: Held) -> Iterator[str]:
    """Where something does not hold, and other code than this wrote the dossier."""
    if held.request is None:
        return
    where = held.request.environment
    if where.code != code_digest(*CODE):
        commit = f", commit {where.commit}" if where.commit else ""
        version = where.packages.get("lorafirst", "")
        yield (
            f"That somebody changed it: other code of lorafirst {version} wrote it ({where.code}{commit}), "
            "and may have decided or worded it otherwise. Verify it with that code too."
        )


def _left_out(held: Held, where: str) -> bool:
    """Whether ``where`` is a file of weights, or a folder of nothing else, that the manifest names and that
    is not there."""
    if held.manifest is None or (held.folder / where).exists():
        return False
    within = [f.path for f in held.manifest.files if f.path == where or f.path.startswith(f"{where}/")]
    return bool(within) and all(path.endswith(WEIGHTS) for path in within)


def _own_entries(ledger: Ledger, run_id: str) -> list[LedgerEntry]:
    """None where one of them is damaged, which the check of the chain tells."""
    try:
        return list(ledger.entries(run_id))
    except UNREADABLE:
        return []


def _guarded_note(held: Held) -> str:
    try:
        return redaction_note(held)
    except UNREADABLE:
        return "texts were removed"


def _guarded(check: Check, faults: Iterable[FoundFault]) -> tuple[FoundFault, ...]:
    found: list[FoundFault] = []
    try:
        found.extend(faults)
    except UNREADABLE as error:
        what = f"it could not be carried out to its end: {one_line(error)}"
        found.append(FoundFault(check=check, where="the check", what=what))
    return tuple(found)


def _unchecked(held: Held, count: int) -> str:
    bare = unsigned(held)
    if len(bare) == count:
        return "unsigned: nothing tells who wrote this"
    some = f"{len(bare)} of {count} files are unsigned; " if bare else ""
    return f"{some}no keyring was given, so nobody checked who signed"


def _not_proven(
    held: Held, keyring: Keyring | None, ledger: Ledger | None, checkpoint: Checkpoint | None
) -> Iterator[str]:
    if keyring is None:
        yield "Who wrote the dossier: that takes --keyring with public keys that you got elsewhere."
    else:
        yield "That whoever holds the pipeline's key did not write all of it: a signature names a key alone."
    if ledger is None:
        yield "That no decision or run was left out, and in which order they came: that takes --ledger."
    elif checkpoint is None:
        yield (
            "That the ledger was not written anew as a whole, or cut short at its end: that takes "
            "--checkpoint, kept by somebody else."
        )
    if any(each.record.answered_by for each in held.decisions):
        yield "That the person named as having answered did so, unless the answer was signed by their key."
    if held.redaction is not None:
        yield (
            "What the removed texts said, and what was told of them alone (slices by words, the form of "
            "answers): whoever kept a row with its salt can show that it was there."
        )
    yield from _NEVER_PROVEN
