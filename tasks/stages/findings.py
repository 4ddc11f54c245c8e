"""What a run has found so far: the working state that its steps fill in and its gates read."""

from dataclasses import dataclass, field
from pathlib import Path

from data_contracts.records.base import Cost
from data_contracts.records.evidence import (
    ArtifactKind,
    BaselineEvidence,
    BaseModelRecord,
    DomainDistance,
    ScoringEvidence,
    TrainingEvidence,
)
from data_contracts.records.looks import Registration
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.rungs import Rung
from data_contracts.records.snapshot import ContractEvidence, ReplayEvidence, Snapshot, Split
from tasks.decisions.ladder import History
from tasks.evidence.store import Stored


@dataclass(frozen=True)
class Trained:
    """One training, and the folder of the dossier it lies in."""

    folder: str
    stored: Stored[TrainingEvidence]

    @property
    def rung(self) -> Rung:
        return self.stored.record.rung

    @property
    def artifact(self) -> Path:
        """What would be served."""
        return self.stored.folder / self.stored.record.served


@dataclass(frozen=True)
class Subject:
    """What is measured: an artifact, or the bare base."""

    rung: Rung
    artifact: Path | None
    digest: str


@dataclass
class Findings:
    """Filled in step by step; nothing in it is decided, and nothing outside the run sees it."""

    base: BaseModelRecord
    history: History = field(default_factory=History)
    checked: Stored[ContractEvidence] | None = None
    snapshot: Stored[Snapshot] | None = None
    replay: Stored[ReplayEvidence] | None = None
    """General rows to mix in, where the settings ask for them."""
    registration: Registration | None = None
    probe: Stored[BaselineEvidence] | None = None
    examples_in_prompt: int = 0
    """How the base of an instruction task does best on ``tune``."""
    distance: DomainDistance | None = None
    method: Rung = Rung.LORA
    """Of the first pilot: what was asked for, or what fits."""
    unquantised_fits: bool = True
    trials: list[PilotTrial] = field(default_factory=list)
    sweep: list[SweepPoint] = field(default_factory=list)
    pilots: dict[int, list[Trained]] = field(default_factory=dict)
    """By the number of the trial, its trainings, one a seed."""
    full: list[Trained] = field(default_factory=list)
    """One a seed."""
    scores: dict[tuple[str, Split], Stored[ScoringEvidence]] = field(default_factory=dict)
    """By the dossier's folder of what was scored, and the rows."""
    processor_seconds: float = 0.0
    """Spent on training and scoring, whether in this run or in an earlier one whose result was reused."""

    def subject(self, trained: Trained | None) -> Subject:
        """``trained`` as it would be served; ``None`` is the bare base."""
        if trained is None:
            return Subject(Rung.BASELINE, None, self.base.identity())
        return Subject(trained.rung, trained.artifact, trained.stored.record.artifact.digest())

    def baseline_subject(self) -> Subject:
        """What answers without a pilot: a classifier's probe, or the bare base."""
        if self.probe is None:
            return self.subject(None)
        artifact = self.probe.folder / ArtifactKind.PROBE
        return Subject(Rung.BASELINE, artifact, self.probe.record.artifact.digest())

    def spend(self, cost: Cost) -> None:
        self.processor_seconds += cost.cpu_seconds
