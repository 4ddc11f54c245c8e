"""Entries of the ledger, the checkpoints that are kept elsewhere, and what a check finds."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from data_contracts.records.base import Digest, Record, UtcTime, digest_json
from data_contracts.records.decision import Decision, Gate, Verdict

NOTHING_BEFORE: Digest = "sha256:" + "0" * 64
"""What stands for the digest of the entry before the first."""


class EntryKind(StrEnum):
    """What happened."""

    ATTEMPT = "attempt"
    """A run began, or went on after it broke off; about its request."""
    REGISTRATION = "registration"
    """What will be decided, before the first score that it is decided on exists."""
    LOOK = "look"
    """The gate rows are about to be scored."""
    DECISION = "decision"
    """A gate decided, and did not fail."""
    REJECTION = "rejection"
    """A gate decided, and its verdict is ``fail``."""
    PERMIT_ISSUED = "permit_issued"
    PERMIT_REDEEMED = "permit_redeemed"
    QUESTION = "question"
    """A run is about to end because it waits for a person's answer; about what is asked."""
    APPROVAL = "approval"
    DENIAL = "denial"
    FAULT = "fault"
    """A run broke off with an error."""
    OUTCOME = "outcome"
    REDACTION = "redaction"
    """Somebody removed the texts from the run's dossier."""
    PROMOTION = "promotion"
    """The promotion gate passed: what the run accepted takes the champion's place."""
    CHAMPION_KEPT = "champion_kept"
    """The promotion gate did not pass."""
    ROLLBACK = "rollback"
    """A person put what the run accepted back into the champion's place."""

    @classmethod
    def of(cls, decision: Decision) -> "EntryKind":
        if decision.gate is Gate.PROMOTION:
            return cls.PROMOTION if decision.verdict is Verdict.PASS else cls.CHAMPION_KEPT
        return cls.REJECTION if decision.verdict is Verdict.FAIL else cls.DECISION


class LedgerEntry(Record):
    """One line of the ledger, chained to the one before it."""

    sequence: Annotated[int, Field(ge=1)]
    """Counts from 1 without gaps."""
    previous: Digest
    """The digest of the entry before it."""
    kind: EntryKind
    run_id: str
    about: Digest
    """The digest of the record that it is about: a decision, permit, answer, report or fault."""
    actor: str
    """Who or what acted: a gate, the run, or the name of a person."""
    at: UtcTime
    """By the clock of the machine that wrote it."""
    clock_set_back: bool
    """Whether that clock showed less than the entry before says."""
    entry_digest: Digest
    """Of the canonical JSON of everything above."""

    def own_digest(self) -> Digest:
        """What ``entry_digest`` must be."""
        return digest_json(self.model_dump(mode="json", exclude={"entry_digest"}, exclude_unset=True))


class Checkpoint(Record):
    """The state of a ledger in three values; kept elsewhere, they show what is changed later."""

    sequence: Annotated[int, Field(ge=0)]
    """How many entries there were."""
    head: Digest
    """The digest of the last of them."""
    merkle_root: Digest
    """RFC 6962 tree hash whose leaves are the digests of the entries, 32 bytes each."""
    at: UtcTime


class ChainFault(Record):
    """One thing that is wrong with a ledger."""

    sequence: int
    """The entry at which it shows; 0 for what concerns the whole."""
    what: str

    def __str__(self) -> str:
        return f"entry {self.sequence}: {self.what}" if self.sequence else self.what


class ChainCheck(Record):
    """What checking a ledger found."""

    entries: int
    faults: tuple[ChainFault, ...]
    checkpoint: str
    """Which checkpoint it was held against, and whether that was signed; ``none`` without one."""


class Fault(Record):
    """Why a run broke off."""

    error: str
    """The name of the exception's class."""
    message: str
