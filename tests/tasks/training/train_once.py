"""One training for a process of its own, so that it can be killed, limited and asked to end.

``train_once`` prints a line ``step N`` after each step, and at the end or on the way ``tell SENTENCE``.
"""

import ctypes
import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIGEST = "sha256:" + "0" * 64
_M_MMAP_THRESHOLD = -3
"""Of C's ``mallopt``."""


@dataclass(frozen=True)
class Job:
    """What to train, and under which limits."""

    base: str
    labels: tuple[str, ...]
    rows: str
    """A folder with the encoded rows ``train`` and ``tune``."""
    folder: str
    """Gets ``artifact`` and ``curve.json``, and holds the checkpoints."""
    training: dict[str, Any]
    full: bool = False
    dropout: float = 0.0
    learning_rate: float = 1e-3
    largest_file_bytes: int | None = None
    """Set after the model is loaded: no file may be larger."""
    checkpoints: str | None = None
    """Unset: below ``folder``."""
    spare_bytes: int | None = None
    """Memory that the process may still take, counted after the step ``spare_after``."""
    spare_after: int = 0


def train_once(job: Job) -> None:
    import torch
    from datasets import load_from_disk

    from benchmarks.laboratory import laboratory_rung
    from data_contracts.errors import LorafirstError, TrainingStopped
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import PilotSettings, TrainingSettings
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.evidence.checkpoints import CheckpointFolder
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung

    torch.set_num_threads(1)
    # Freed memory goes back at once, so that a limit means the same at every step.
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 65536)
    folder = Path(job.folder)

    def progress(done: int, total: int, what: str) -> None:
        print(f"step {done}", flush=True)
        if done == job.spare_after:
            _limit(job)

    if job.spare_after == 0:
        _limit(job)
    try:
        fitted = fit(
            TrainingInputs(
                base=Path(job.base),
                base_name="base",
                base_digest=DIGEST,
                head=Head(Task.CLASSIFICATION, tuple(job.labels)),
                rung=laboratory_rung(snapshot=DIGEST, base_model=DIGEST, policy=DIGEST, seed=5)
                if job.full
                else PilotRung(PilotSettings(rank=4, alpha=8, dropout=job.dropout)),
                train=load_from_disk(f"{job.rows}/train"),
                tune=load_from_disk(f"{job.rows}/tune"),
                tokenizer=load_tokenizer(Path(job.base)),
                training=TrainingSettings(**job.training),
                learning_rate=job.learning_rate,
                seed=5,
            ),
            artifact=folder / "artifact",
            checkpoints=CheckpointFolder(Path(job.checkpoints or folder / "checkpoints")),
            progress=progress,
            tell=lambda sentence: print(f"tell {sentence}", flush=True),
        )
    except TrainingStopped as stopped:
        print(f"tell {stopped}", flush=True)
        sys.exit(stopped.exit_code)
    except LorafirstError as error:
        print(f"error {type(error).__name__} {error}", flush=True)
        sys.exit(1)
    (folder / "curve.json").write_text(
        json.dumps([point.model_dump() for point in fitted.curve]), encoding="utf-8"
    )
    (folder / "conditions.json").write_text(fitted.conditions.model_dump_json(), encoding="utf-8")


def _limit(job: Job) -> None:
    if job.largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.largest_file_bytes, job.largest_file_bytes))
    if job.spare_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + job.spare_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
