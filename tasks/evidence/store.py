"""The stage store: what a finished stage made, found again by everything it depended on.

A stage's key is the digest of its inputs, of lorafirst's own code for it, and of the versions of the
packages under it. An unchanged rerun therefore finds every stage finished; a changed one redoes what
changed; a killed run goes on after its last finished stage, and inside a training from its last checkpoint,
which lies under the same key. Orchestrators keep caches of their own;
this one is used instead because reuse here is tied to the artifact itself: it happens only while every
file still has the digest it was stored with.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock, Timeout
from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.records.base import FolderRecord, Record, digest_json
from tasks.evidence.checkpoints import CheckpointFolder
from tasks.evidence.files import commit_folder, write_atomically

R = TypeVar("R", bound=Record)

STORE_FOLDER = ".store"
"""Below the output folder; finished stages, shared by all runs there."""
RECORD_FILE = "evidence.json"
_CONTENT_FILE = ".content.json"


@dataclass(frozen=True)
class Stored(Generic[R]):
    """A finished stage."""

    record: R
    folder: Path
    """Inside the store; read-only by convention."""
    reused: bool
    """Whether it was already there, and no work was done."""


@dataclass(frozen=True)
class StageKey:
    """Names one piece of work by everything its result depends on."""

    stage: str
    inputs: Mapping[str, object]
    """JSON values; digests for anything large."""
    code: str
    """Digest of the source that does the work."""
    packages: Mapping[str, str]
    """Versions of the libraries the result depends on."""

    @property
    def inputs_digest(self) -> str:
        """Of the inputs alone: the same work by later code has it in common."""
        return digest_json(dict(self.inputs))

    @property
    def folder_name(self) -> str:
        content = {
            "stage": self.stage,
            "inputs": dict(self.inputs),
            "code": self.code,
            "packages": dict(self.packages),
        }
        return f"{self.stage}-{digest_json(content)[7:31]}"


@dataclass(frozen=True)
class StageStore:
    """A folder of finished stages, safe to share between processes of one machine."""

    root: Path

    def holds(self, key: StageKey) -> bool:
        """Whether the work under ``key`` is finished and stored."""
        return (self.root / key.folder_name / RECORD_FILE).is_file()

    def checkpoints(self, key: StageKey) -> CheckpointFolder:
        """Where the work under ``key`` leaves what it would go on from; to be removed once it is stored."""
        return CheckpointFolder(self.root / ".checkpoints" / key.folder_name)

    def discard(self, name: str) -> None:
        """Removes the finished stage ``name``, or what was left of one; a later run does it anew.

        Raises:
            InputError: a run is at work on it.
        """
        try:
            with FileLock(self.root / f".{name}.lock", timeout=0):
                shutil.rmtree(self.root / name, ignore_errors=True)
                shutil.rmtree(self.root / f".{name}.partial", ignore_errors=True)
        except Timeout as error:
            raise InputError.single(
                f"stage {name} in {self.root}",
                expected="a stage that nobody works on",
                found="a run that does",
                remedy="let the run end, and start this command again",
            ) from error

    def reuse_or_build(self, key: StageKey, record_type: type[R], build: Callable[[Path], R]) -> Stored[R]:
        """The stored stage under ``key``, or what ``build`` makes of an empty folder.

        A second process asking for the same key waits for the first and reuses its result. If
        ``build`` raises, nothing is stored.
        """
        final = self.root / key.folder_name
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / f".{key.folder_name}.lock"):
            record = _load(final, record_type)
            if record is not None:
                return Stored(record=record, folder=final, reused=True)
            partial = self.root / f".{key.folder_name}.partial"
            for stale in (final, partial):
                if stale.exists():
                    shutil.rmtree(stale)
            partial.mkdir()
            try:
                record = build(partial)
                write_atomically(partial / RECORD_FILE, record.canonical_json())
                content = FolderRecord.of(partial)
                write_atomically(partial / _CONTENT_FILE, content.canonical_json())
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            commit_folder(partial, final)
            return Stored(record=record, folder=final, reused=False)


def _load(folder: Path, record_type: type[R]) -> R | None:
    """The record in ``folder``; ``None`` if it is not there or any file differs from what was stored."""
    try:
        content = FolderRecord.as_written((folder / _CONTENT_FILE).read_bytes())
        record = record_type.as_written((folder / RECORD_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    actual = {file.path: file for file in FolderRecord.of(folder).files if file.path != _CONTENT_FILE}
    return record if actual == {file.path: file for file in content.files} else None
