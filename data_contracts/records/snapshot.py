"""The frozen data of a run, and what the contract said about every row that did not get in."""

from enum import StrEnum

from data_contracts.records.base import Cost, Digest, Record
from data_contracts.records.drift import DriftReport
from data_contracts.records.metrics import Task
from data_contracts.records.tables import TableFile


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
    rule: str | None
    """Its name in lorafirst's own catalogue; ``None`` for what ODCS has itself."""
    severity: RuleSeverity
    allowed_percent: float | None
    """Of a quarantine: it blocks where more than so many percent of the rows leave by it."""
    passed: bool
    observed: str
    expected: str
    broken_rows: int
    """How many rows break it; 0 for a rule about the whole table that holds."""
    broken_percent: float
    """Of the rows that it looked at."""
    examples: tuple[str, ...]
    """The first few places, as file and row; never the text of a row."""
    remedy: str
    sentence: str
    """For somebody who does not read code."""

    @property
    def blocks(self) -> bool:
        """Whether the data cannot be used because of this rule."""
        if self.passed or self.severity is RuleSeverity.WARNING:
            return False
        if self.severity is RuleSeverity.BLOCKING:
            return True
        return self.allowed_percent is not None and self.broken_percent > self.allowed_percent


class SourceFile(Record):
    """A file the rows were read from."""

    name: str
    sha256: Digest
    """Of the plain content, as that of ``size_bytes``; a packed file has other bytes."""
    size_bytes: int
    rows: int


class ContractEvidence(Record):
    """What the contract stage measured."""

    task: Task
    contract: Digest
    """Of the ODCS file's bytes."""
    contract_name: str
    sources: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()
    """How the rows were understood where the settings do not say it, such as a form that was recognised."""
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    max_tokens: int
    """Of a row, that the model reads."""
    cut_rows: dict[str, int]
    """Rows read that truncation would cut, by what they lose: ``text``, ``part_of_answer``, ``answer``,
    ``prompt`` (and with it the answer), ``behind_answer``."""
    rules: tuple[ContractRule, ...]
    labels: tuple[str, ...]
    """Sorted; empty for an instruction task."""
    drift: DriftReport | None
    """From the last accepted snapshot; ``None`` where no rule asks for it or there is none."""
    accepted: TableFile | None = None
    """The rows that passed; filled in by the stage that keeps them."""
    rejected: TableFile | None = None
    """The rows that were set aside; filled in by the same."""
    cost: Cost | None = None
    """Filled in by the stage that measured it."""


class SplitRecord(Record):
    """One split of the snapshot."""

    split: Split
    file: TableFile
    rows: int
    label_counts: dict[str, int]
    """Rows per label; empty for an instruction task."""


class Snapshot(Record):
    """The accepted rows, frozen: its digest names exactly these rows in exactly these splits."""

    task: Task
    contract: Digest
    labels: tuple[str, ...]
    splits: tuple[SplitRecord, ...]
    rejected: TableFile
    rejected_rows: int

    def split(self, split: Split) -> SplitRecord:
        return next(record for record in self.splits if record.split is split)


class ReplayEvidence(Record):
    """General rows that may be replayed among the training rows."""

    sources: tuple[SourceFile, ...]
    notes: tuple[str, ...]
    """How the rows were understood, where the settings do not say; for the user."""
    rows_read: int
    rows_broken: int
    """Left out because they break a rule."""
    rows_like_gate: int
    """Of those: nearly like a row that a gate judges by, or judged by before."""
    rows: int
    """That may be replayed; the others ask what belongs to a split that is held out."""
    file: TableFile

    @property
    def sentence(self) -> str:
        return (
            f"{self.rows:,} of {self.rows_read:,} general rows to replay; {self.rows_broken:,} break a rule, "
            f"{self.rows_like_gate:,} of them too like a gate row"
        )
