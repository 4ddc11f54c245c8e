"""The looks that were taken, one JSON line each, appended before the scoring that they reserve."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.looks import Look, Registration
from tasks.evidence.files import write_atomically
from tasks.evidence.records import read_record


@dataclass(frozen=True)
class LookBook:
    """A file of looks and the registrations beside it, shared by all runs of one output folder."""

    path: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from counting or appending meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            yield

    def registration(self, inputs: str) -> Registration | None:
        """What was registered for this work before; ``None`` if nothing was.

        Raises:
            ArtifactDamagedError: the file is no registration.
        """
        path = self._registration_path(inputs)
        return read_record(path, Registration, called="a registration") if path.exists() else None

    def register(self, inputs: str, registration: Registration) -> None:
        """Keeps ``registration`` for as long as the book is kept."""
        path = self._registration_path(inputs)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, registration.canonical_json())

    def _registration_path(self, inputs: str) -> Path:
        return self.path.parent / "registrations" / f"{inputs.removeprefix('sha256:')}.json"

    def read(self) -> tuple[Look, ...]:
        """All looks, oldest first.

        Raises:
            ArtifactDamagedError: a line is not a look; an unfinished last line, left by a crash, is none.
        """
        if not self.path.exists():
            return ()
        text = self.path.read_text(encoding="utf-8")
        # Whatever follows the last line break was cut off while it was written, before anything was scored.
        lines = text[: text.rfind("\n") + 1].splitlines()
        looks = []
        for number, line in enumerate(lines, start=1):
            try:
                looks.append(Look.as_written(line))
            except ValidationError as error:
                raise ArtifactDamagedError(
                    f"{self.path}, line {number} cannot be read as a look at gate rows: {error}\n"
                    "  to do: restore the file; without it nobody knows how often the rows were asked"
                ) from error
        return tuple(looks)

    def append(self, look: Look) -> None:
        """Adds ``look`` and flushes it to the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._drop_unfinished_line()
        with self.path.open("ab") as stream:
            stream.write(look.canonical_json() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _drop_unfinished_line(self) -> None:
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            with self.path.open("rb+") as stream:
                stream.truncate(content.rfind(b"\n") + 1)
