"""Checkpoints of one training on disk: each whole or absent, and the last two kept.

A checkpoint is a folder ``step-000123`` with the digest of each of its files in ``manifest.json``. It is
built under a temporary name, flushed and renamed, so that a crash leaves none cut short; the digests find
what a disk or a copy did to it later.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data_contracts.checkpointing import Checkpoint, FoundCheckpoints
from data_contracts.records.base import FolderRecord
from tasks.evidence.files import commit_folder, write_atomically

MANIFEST = "manifest.json"
_PARTIAL = ".partial"
_KEPT = 2
"""The newest and, should that turn out damaged, the one before."""


@dataclass(frozen=True)
class CheckpointFolder:
    """A ``CheckpointPlace``; for one process at a time, which the stage's lock sees to."""

    root: Path

    def save(self, step: int, fill: Callable[[Path], None]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        partial, final = self.root / _PARTIAL, self.root / f"step-{step:06}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            fill(partial)
            write_atomically(partial / MANIFEST, FolderRecord.of(partial).canonical_json())
            shutil.rmtree(final, ignore_errors=True)
            commit_folder(partial, final)
        except BaseException:
            # What it holds would keep the disk full.
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for old in self._newest_first()[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def find(self) -> FoundCheckpoints:
        damaged: list[str] = []
        for folder in self._newest_first():
            fault = _fault(folder)
            if fault is None:
                step = int(folder.name.removeprefix("step-"))
                return FoundCheckpoints(Checkpoint(step, folder), tuple(damaged))
            damaged.append(f"Checkpoint {folder.name} is damaged and was removed: {fault}.")
            # It would count as one of the two that are kept.
            shutil.rmtree(folder, ignore_errors=True)
        return FoundCheckpoints(None, tuple(damaged))

    def remove(self) -> None:
        """Once the training is finished nothing goes on from here any more."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        named = [path for path in self.root.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
        return sorted(named, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint, every file named; ``None`` if it is as it was saved."""
    try:
        saved = FolderRecord.as_written((folder / MANIFEST).read_bytes())
        found = {file.path: file for file in FolderRecord.of(folder).files}
    except (OSError, ValidationError):
        return f"{MANIFEST} cannot be read"
    faults = []
    for file in saved.files:
        actual = found.get(file.path)
        if actual is None:
            faults.append(f"{file.path} is missing")
        elif actual.size_bytes != file.size_bytes:
            faults.append(f"{file.path} has {actual.size_bytes:,} of {file.size_bytes:,} bytes")
        elif actual.sha256 != file.sha256:
            faults.append(f"{file.path} has other content")
    return ", ".join(faults) or None
