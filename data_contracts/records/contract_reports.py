"""What ``lorafirst contract check`` and ``diff`` answer; their ``--json`` is these records."""

from enum import StrEnum

from data_contracts.records.base import Record
from data_contracts.records.snapshot import ContractEvidence


class ContractReport(Record):
    """A contract held against data by itself."""

    passed: bool
    """Whether every blocking rule holds."""
    sentence: str
    """For somebody who does not read code."""
    notes: tuple[str, ...]
    """What was understood without being said, and what was not checked."""
    evidence: ContractEvidence

    @classmethod
    def of(cls, evidence: ContractEvidence, notes: tuple[str, ...]) -> "ContractReport":
        broken = [rule.name for rule in evidence.rules if rule.blocks]
        count = "1 blocking rule" if len(broken) == 1 else f"{len(broken)} blocking rules"
        contract = evidence.contract_name
        sentence = (
            f"The data breaks {count} of {contract}: {', '.join(broken)}."
            if broken
            else f"{evidence.rows_accepted:,} of {evidence.rows_read:,} rows satisfy {contract}."
        )
        return cls(passed=not broken, sentence=sentence, notes=notes, evidence=evidence)


class Change(StrEnum):
    """How a rule differs."""

    ADDED = "added"
    REMOVED = "removed"
    TIGHTENED = "tightened"
    """Whatever the new rule accepts the old one accepted too, and not the other way about."""
    LOOSENED = "loosened"
    CHANGED = "changed"
    """Neither: what each accepts the other may refuse."""


class RuleChange(Record):
    """One rule that is not the same in both contracts."""

    name: str
    change: Change
    old: str
    """What the old contract asks for, and what happens if it is broken; empty where it does not."""
    new: str


class RowChanges(Record):
    """What the new contract makes of rows that the old one judged otherwise."""

    newly_rejected: int
    newly_accepted: int
    rejected_places: tuple[str, ...]
    """The first of them as file and row, each with the rules that it breaks now."""
    accepted_places: tuple[str, ...]
    """The first of them as file and row, each with the rules that it broke before."""


class ContractComparison(Record):
    """Two contracts side by side."""

    old: str
    """Name of the contract before."""
    new: str
    rules: tuple[RuleChange, ...]
    rows: RowChanges | None
    """``None`` where no data was named."""
    notes: tuple[str, ...]
