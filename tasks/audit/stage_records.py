"""What the stages of a run measured, read from the folders of its dossier."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data_contracts.records.evidence import BaselineEvidence, ScoringEvidence, TrainingEvidence
from data_contracts.records.pilots import SweepPoint
from data_contracts.records.snapshot import Split
from tasks.evidence.store import RECORD_FILE

StageEvidence = TrainingEvidence | ScoringEvidence | SweepPoint | BaselineEvidence

_OTHERS = frozenset({"contract", "snapshot", "replay", "domain-distance"})
"""Folders whose evidence is about the data, not about a model that was tried."""


@dataclass(frozen=True)
class FoundStage:
    """One folder of a dossier in which a model was trained, fitted, tried or scored."""

    name: str
    """The folder: ``pilot-1-lora-r16/gate``."""
    record: StageEvidence

    @property
    def file(self) -> str:
        """Inside the dossier."""
        return f"{self.name}/{RECORD_FILE}"

    @property
    def order(self) -> tuple[tuple[tuple[bool, int, str], ...], ...]:
        """Sorts folders as people count: a training before its scorings, pilot 2 before pilot 10."""
        return tuple(
            tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _pieces(name))
            for name in self.name.split("/")
        )


def read_stages(dossier: Path) -> tuple[tuple[FoundStage, ...], tuple[str, ...]]:
    """The stages in the order of their folders, and the files that cannot be read as what they should be."""
    found, unreadable = [], []
    for path in dossier.rglob(RECORD_FILE):
        name = path.parent.relative_to(dossier).as_posix()
        kind = _kind(name)
        if kind is None:
            continue
        try:
            found.append(FoundStage(name, kind.as_written(path.read_bytes())))
        except (OSError, ValidationError):
            unreadable.append(f"{name}/{RECORD_FILE}")
    return tuple(sorted(found, key=lambda stage: stage.order)), tuple(sorted(unreadable))


def stage_line(record: StageEvidence) -> str:
    """What came of it, in a line without what it took."""
    match record:
        case SweepPoint():
            loss = "diverged" if record.tune_loss is None else f"loss on tune {record.tune_loss:.4f}"
            return f"{record.steps:,} steps at {record.learning_rate:g}, {loss}"
        case TrainingEvidence():
            return (
                f"{record.steps:,} steps at {record.learning_rate:g}, "
                f"{record.trainable_parameters:,} parameters trained"
            )
        case BaselineEvidence():
            return f"linear probe on the frozen base, accuracy {record.tune_accuracy:.4g} on tune"
        case ScoringEvidence():
            figures = ", ".join(f"{metric.name} {metric.value:.4g}" for metric in record.metrics)
            return f"{figures} on {record.rows:,} rows"


def _kind(name: str) -> type[StageEvidence] | None:
    first, *rest = name.split("/")
    if first == "sweep":
        return SweepPoint
    if rest:
        return ScoringEvidence if rest[-1] in {split.value for split in Split} else None
    if first == "baseline":
        return BaselineEvidence
    return None if first in _OTHERS else TrainingEvidence


def _pieces(name: str) -> list[str]:
    return re.findall(r"\d+|\D+", name)
