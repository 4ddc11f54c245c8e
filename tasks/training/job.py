"""One training as a folder that several processes read: what ``fit`` is given, as JSON and Arrow files."""

import json
from pathlib import Path
from typing import Any

from data_contracts.records.base import Record
from data_contracts.records.metrics import Task
from data_contracts.records.permit import Permit
from data_contracts.records.settings import FullSettings, PilotSettings, TrainingSettings
from tasks.training.loading import Head
from tasks.training.rungs import FullRung, PilotRung

JOB = "job.json"
RESULT = "fitted.json"
FAULT = "fault.json"


class PermittedWork(Record):
    """What ``FullRung`` is made of. The permit is checked again by every process that reads it."""

    permit: Permit
    run_id: str
    snapshot: str
    base_model: str
    policy: str
    settings: FullSettings
    adapter: Path | None


class TrainingJob(Record):
    """What ``fit`` takes, less the rows, which lie beside it."""

    base: Path
    base_name: str
    base_digest: str
    task: Task
    labels: tuple[str, ...]
    pad_token_id: int | None
    pilot: PilotSettings | None
    permitted: PermittedWork | None
    """Set where base weights are updated; exactly one of the two is."""
    training: TrainingSettings
    learning_rate: float
    seed: int
    artifact: Path
    checkpoints: Path | None

    @property
    def head(self) -> Head:
        return Head(task=self.task, labels=self.labels, pad_token_id=self.pad_token_id)

    def rung(self) -> PilotRung | FullRung:
        """Raises ``PermitRefusedError`` where base weights would be updated and no permit covers that."""
        if self.permitted is None:
            assert self.pilot is not None
            return PilotRung(self.pilot)
        work = self.permitted
        return FullRung(
            permit=work.permit,
            run_id=work.run_id,
            snapshot=work.snapshot,
            base_model=work.base_model,
            policy=work.policy,
            settings=work.settings,
            adapter=work.adapter,
        )


def write_job(folder: Path, job: TrainingJob, *, train: Any, tune: Any) -> None:
    """Rows first; a folder with ``job.json`` is whole."""
    train.save_to_disk(folder / "train")
    tune.save_to_disk(folder / "tune")
    (folder / JOB).write_bytes(job.canonical_json())


def read_job(folder: Path) -> TrainingJob:
    return TrainingJob.model_validate(json.loads((folder / JOB).read_bytes()))


def read_rows(folder: Path, split: str) -> Any:
    """Memory-mapped, so that processes of one host share them."""
    from datasets import load_from_disk

    return load_from_disk(folder / split)
