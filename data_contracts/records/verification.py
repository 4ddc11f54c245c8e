"""What verifying a dossier found."""

from enum import StrEnum

from data_contracts.records.base import Record
from data_contracts.records.decision import Outcome


class Check(StrEnum):
    """What is looked at, in this order."""

    SIGNATURES = "signatures"
    FILES = "files"
    REQUEST = "request"
    DATA = "data"
    QUESTION = "question"
    TRAININGS = "trainings"
    SCORES = "scores"
    DECISIONS = "decisions"
    WAY = "way"
    PERMIT = "permit"
    LEDGER = "ledger"
    RESCORING = "rescoring"


EXPLAINED: dict[Check, str] = {
    Check.SIGNATURES: "decisions, permit and manifest are signed by keys of the keyring",
    Check.FILES: "the manifest names every file, and every file is what it names",
    Check.REQUEST: "settings, policy and run are those that the decisions name",
    Check.DATA: "the frozen rows are those that the evidence counts, and in one split each",
    Check.QUESTION: "what was to be decided was registered before, as the policy has it",
    Check.TRAININGS: "every artifact is the one that its training names, and base weights changed by permit",
    Check.SCORES: "scores belong to rows and artifacts, and give the figures that stand in the evidence",
    Check.DECISIONS: "every gate, decided again from the evidence, decides the same",
    Check.WAY: "the steps follow from one another, and the outcome from them",
    Check.PERMIT: "what updated base weights had one permit, of this run's escalation gate and a person",
    Check.LEDGER: "the chain holds, and it and the dossier tell the same",
    Check.RESCORING: "the artifacts, loaded and asked again, answer as the scores say",
}


class FoundFault(Record):
    """One thing that is not as it should be."""

    check: Check
    where: str
    """A file of the dossier, an entry of the ledger."""
    what: str
    """What was expected and what was found."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class CheckResult(Record):
    """One check."""

    check: Check
    looked_at: int
    """How many things."""
    note: str
    """What could not be looked at, or is worth less than it seems; empty where nothing is to be said."""
    faults: tuple[FoundFault, ...]


class Verification(Record):
    """Everything that one dossier can tell."""

    run_id: str
    dossier: str
    outcome: Outcome | None
    """As the report says; ``None`` where there is none that can be read."""
    signed: bool
    """Whether signatures were checked against a keyring, and all held."""
    checks: tuple[CheckResult, ...]
    not_proven: tuple[str, ...]
    """What even a dossier without a fault does not show."""

    @property
    def faults(self) -> tuple[FoundFault, ...]:
        return tuple(fault for check in self.checks for fault in check.faults)

    @property
    def verified(self) -> bool:
        return not self.faults
