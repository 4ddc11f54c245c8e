"""Persons' answers to escalations: statements, kept beside the runs, read by the run that goes on.

An answer is found if the ledger holds it and holds no later one of the same run, so that a copy of an answer
that was taken back brings nothing. Whose signature it bears is told apart from what it says.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import UtcTime
from data_contracts.records.ledger import EntryKind, LedgerEntry
from data_contracts.records.pilots import Approval
from data_contracts.records.statements import APPROVAL_PREDICATE, Keyring
from tasks.evidence.files import write_atomically
from tasks.evidence.ledger.book import Ledger
from tasks.evidence.signing.payloads import predicate_of, unverified_statement

_FOLDER = ".approvals"
_ANSWERS = (EntryKind.APPROVAL, EntryKind.DENIAL)


@dataclass(frozen=True)
class Answer:
    """What was found beside the runs."""

    approval: Approval | None = None
    signed_by: str | None = None
    """The name of the key of the keyring that verifies it."""
    envelope: bytes = b""
    unusable: str | None = None
    """Why what is there is no answer; ``None`` where one was found, or nothing is there."""
    entered_at: UtcTime | None = None
    """When the ledger has it that the answer was given."""


def read_approval(envelope: bytes) -> Approval:
    """What the envelope says, whoever signed it, if anybody did; raises ``EnvelopeRefusedError``."""
    return predicate_of(unverified_statement(envelope), APPROVAL_PREDICATE, Approval)


def find_answer(output: Path, subject: str, ledger: Ledger, keyring: Keyring | None) -> Answer:
    """The answer to what has the digest ``subject``.

    Args:
        keyring: whose approvers' signatures count; ``None`` where none was pinned, and none is verified.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    try:
        envelope = _path(output, subject).read_bytes()
    except FileNotFoundError:
        return Answer()
    try:
        approval = read_approval(envelope)
        entry = _entry_of(approval, ledger)
        signed_by = _signed_by(approval, envelope, keyring, datetime.fromisoformat(entry.at))
    except EnvelopeRefusedError as error:
        return Answer(unusable="; ".join(error.faults))
    return Answer(approval, signed_by, envelope, entered_at=entry.at)


def first_asked(ledger: Ledger, subject: str) -> UtcTime | None:
    """When a run first ended to wait for an answer to what has this digest; ``None`` if none has.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    asked = (entry for entry in ledger.entries(about=subject) if entry.kind is EntryKind.QUESTION)
    return next((entry.at for entry in asked), None)


def write_approval(output: Path, approval: Approval, envelope: bytes) -> None:
    """Keeps ``envelope``, the approval's, for the run that goes on."""
    write_atomically(_path(output, approval.subject), envelope)


def verify_approval(approval: Approval, envelope: bytes, keyring: Keyring, at: datetime) -> None:
    """Returns only if the approver's key that ``approval`` names has signed it, and counted ``at`` that time.

    Raises:
        EnvelopeRefusedError: with every fault.
    """
    from tasks.evidence.signing.envelopes import read_envelope, verify_envelope

    named = tuple(entry for entry in keyring.keys if entry.name == approval.key)
    if not named:
        raise EnvelopeRefusedError([f"the keyring has no key {approval.key}"])
    verify_envelope(read_envelope(envelope), Keyring(keys=named), KeyRole.APPROVER, at)


def _entry_of(approval: Approval, ledger: Ledger) -> LedgerEntry:
    kind = EntryKind.APPROVAL if approval.approved else EntryKind.DENIAL
    entries = [each for each in ledger.entries(about=approval.digest()) if each.kind is kind]
    if not entries:
        raise EnvelopeRefusedError([f"the ledger {ledger.where} holds no {kind.value} like it"])
    last = [each for each in ledger.entries(entries[-1].run_id) if each.kind in _ANSWERS][-1]
    if last.about != approval.digest():
        raise EnvelopeRefusedError(
            [f"it was followed by another answer, entry {last.sequence} of the ledger"]
        )
    return entries[-1]


def _signed_by(approval: Approval, envelope: bytes, keyring: Keyring | None, at: datetime) -> str | None:
    if approval.key is None or keyring is None:
        return None
    # The ledger knows when it was given; who signs says what he likes.
    verify_approval(approval, envelope, keyring, at)
    return approval.key


def _path(output: Path, subject: str) -> Path:
    return output / _FOLDER / f"{subject.removeprefix('sha256:')}.json"
