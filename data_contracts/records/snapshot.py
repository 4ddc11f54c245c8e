"""The frozen data of a run, and what the contract said about every row that did not get in."""

from enum import StrEnum

from data_contracts.records.base import Cost, Digest, FileRecord, Record
from data_contracts.records.metrics import Task


class Split(StrEnum):
    """The uses a row can be put to."""

    TRAIN = "train"
    TUNE = "tune"
    """Model selection; the learning curves are taken here."""
    GATE = "gate"
    """Touched by gates only."""
    RESERVE = "reserve"
    """Sealed, for one second look per run, registered beforehand; empty where there is to be none."""


class RuleSeverity(StrEnum):
    """What a broken rule does."""

    BLOCKING = "blocking"
    QUARANTINE = "quarantine"
    """The row leaves, with its reason; the rest goes on."""
    WARNING = "warning"


class ContractRule(Record):
    """One rule of the contract and what the data said to it."""

    name: str
    severity: RuleSeverity
    passed: bool
    observed: str
    expected: str
    broken_rows: int
    """How many rows break it; 0 for a rule about the whole table that holds."""
    examples: tuple[str, ...]
    """The first few places, as file and row; never the text of a row."""
    remedy: str
    sentence: str
    """For somebody who does not read code."""


class SourceFile(Record):
    """A file the rows were read from."""

    name: str
    sha256: Digest
    size_bytes: int
    rows: int


class ContractEvidence(Record):
    """What the contract stage measured."""

    task: Task
    contract: Digest
    """Of the ODCS file's bytes."""
    contract_name: str
    sources: tuple[SourceFile, ...]
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rules: tuple[ContractRule, ...]
    labels: tuple[str, ...]
    """Sorted; empty for an instruction task."""
    cost: Cost | None = None
    """Filled in by the stage that measured it."""


class SplitRecord(Record):
    """One split of the snapshot."""

    split: Split
    file: FileRecord
    rows: int
    label_counts: dict[str, int]
    """Rows per label; empty for an instruction task."""


class Snapshot(Record):
    """The accepted rows, frozen: its digest names exactly these rows in exactly these splits."""

    task: Task
    contract: Digest
    labels: tuple[str, ...]
    splits: tuple[SplitRecord, ...]
    rejected: FileRecord
    rejected_rows: int

    def split(self, split: Split) -> SplitRecord:
        return next(record for record in self.splits if record.split is split)
