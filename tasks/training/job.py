"""One training as a folder that several processes read: what ``fit`` is given, as JSON and Arrow files."""

from pathlib import Path
from typing import Any, Self

from data_contracts.records.base import Record
from data_contracts.records.metrics import Task
from data_contracts.records.permit import Permit, Redemption
from data_contracts.records.settings import FullSettings, PilotSettings, Precision, TrainingSettings
from tasks.training.inputs import TrainingInputs
from tasks.training.loading import Head
from tasks.training.rungs import FullRung, PilotRung

JOB = "job.json"
RESULT = "fitted.json"
FAULT = "fault.json"

_ROWS = ("train", "tune", "replayed")


class PermittedWork(Record):
    """What ``FullRung`` is made of. The permit is checked again by every process that reads it."""

    permit: Permit
    redemption: Redemption
    run_id: str
    snapshot: str
    base_model: str
    policy: str
    settings: FullSettings
    adapter: Path | None

    @classmethod
    def of(cls, rung: FullRung) -> Self:
        return cls(**{name: getattr(rung, name) for name in cls.model_fields})

    def rung(self) -> FullRung:
        """Raises ``PermitRefusedError`` if the permit does not cover the work, or was not redeemed for it."""
        return FullRung(**{name: getattr(self, name) for name in type(self).model_fields})


class TrainingJob(Record):
    """What ``fit`` takes, less the rows, which lie beside it, and the tokenizer, which lies with the base."""

    base: Path
    base_name: str
    base_digest: str
    task: Task
    labels: tuple[str, ...]
    pad_token_id: int | None
    precision: Precision
    pilot: PilotSettings | None
    start: Path | None
    """The adapter that a pilot goes on from."""
    permitted: PermittedWork | None
    """Set where base weights are updated; exactly one of the two is."""
    training: TrainingSettings
    learning_rate: float
    seed: int
    artifact: Path
    checkpoints: Path | None

    @classmethod
    def of(cls, given: TrainingInputs, *, artifact: Path, checkpoints: Path | None) -> Self:
        return cls(
            base=given.base,
            base_name=given.base_name,
            base_digest=given.base_digest,
            task=given.head.task,
            labels=given.head.labels,
            pad_token_id=given.head.pad_token_id,
            precision=given.head.precision,
            pilot=given.rung.settings if isinstance(given.rung, PilotRung) else None,
            start=_absolute(given.rung.start if isinstance(given.rung, PilotRung) else None),
            permitted=PermittedWork.of(given.rung) if isinstance(given.rung, FullRung) else None,
            training=given.training,
            learning_rate=given.learning_rate,
            seed=given.seed,
            artifact=artifact.resolve(),
            checkpoints=_absolute(checkpoints),
        )

    def inputs(self, folder: Path, tokenizer: Any) -> TrainingInputs:
        """With the rows of the job's ``folder``, memory-mapped, so that processes of one host share them.

        Raises:
            PermitRefusedError: base weights would be updated, and no permit was redeemed for that.
        """
        return TrainingInputs(
            base=self.base,
            base_name=self.base_name,
            base_digest=self.base_digest,
            head=Head(self.task, self.labels, self.pad_token_id, self.precision),
            rung=self.rung(),
            tokenizer=tokenizer,
            training=self.training,
            learning_rate=self.learning_rate,
            seed=self.seed,
            **{name: _read_rows(folder / name) for name in _ROWS},
        )

    def rung(self) -> PilotRung | FullRung:
        """Raises ``PermitRefusedError`` as ``inputs`` does, and reads nothing."""
        if self.permitted is not None:
            return self.permitted.rung()
        assert self.pilot is not None
        return PilotRung(self.pilot, self.start)


def write_job(folder: Path, job: TrainingJob, given: TrainingInputs) -> None:
    """Rows first; a folder with ``job.json`` is whole."""
    for name in _ROWS:
        rows = getattr(given, name)
        if rows is not None:
            rows.save_to_disk(folder / name)
    (folder / JOB).write_bytes(job.canonical_json())


def read_job(folder: Path) -> TrainingJob:
    return TrainingJob.as_written((folder / JOB).read_bytes())


def _absolute(place: Path | None) -> Path | None:
    return place.resolve() if place else None


def _read_rows(folder: Path) -> Any:
    from datasets import load_from_disk

    return load_from_disk(folder) if folder.exists() else None
