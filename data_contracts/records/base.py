"""What every record has in common: frozen, closed, and with one digest.

The digest of a record is the sha256 of its canonical JSON (RFC 8785), so that two people on two
machines who hold equal records hold equal digests.
"""

import hashlib
import json
from collections.abc import Callable, Container
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import rfc8785
from pydantic import BaseModel, ConfigDict, StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""``sha256:`` and 64 hexadecimal digits."""


UtcTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
"""UTC in one fixed form with microseconds, so that the text sorts as the time does and hashes alike."""


def utc_time(at: datetime) -> UtcTime:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Record(BaseModel):
    """Base of all records that pass between stages or are written to disk."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A form shows the very names that the settings file has.
        field_title_generator=lambda name, _: name,
    )

    def canonical_json(self) -> bytes:
        """The record as RFC 8785 bytes: equal records give equal bytes."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        return digest_bytes(self.canonical_json())


def defaults_told(
    schema: dict[str, Any], *, of: Container[str] | None = None, except_for: Container[str] = ()
) -> None:
    """Moves defaults of a record's JSON schema into the fields' descriptions.

    For fields that something else fills in where they are unset. A form sends every default that its schema
    names, and would override that with it.

    Args:
        of: the fields it is done for; all of them unless given.
        except_for: those of them that keep theirs.
    """
    for name, field in schema.get("properties", {}).items():
        # Nothing is nothing: a form that is told no default at all fills in the parts of what may be there.
        if field.get("default") is None or name in except_for or (of is not None and name not in of):
            continue
        default = field.pop("default")
        if not isinstance(default, dict):
            words = json.dumps(default) if isinstance(default, list) else default
            field["description"] = f"{field.get('description', '')} Usually {words}.".strip()


def offering(*names: str) -> Callable[[dict[str, Any]], None]:
    """Has a field's JSON schema offer ``names`` beside any other text, for a form to show as a list."""

    def offer(schema: dict[str, Any]) -> None:
        text = {"type": schema.pop("type"), "title": "another"}
        schema["anyOf"] = [{"enum": list(names), "type": "string", "title": "one of these"}, text]

    return offer


def canonical_json(value: Any) -> bytes:
    """``value``, which must be made of JSON types with finite numbers, as RFC 8785 bytes."""
    return rfc8785.dumps(value)


def digest_bytes(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


class FileRecord(Record):
    """One file of an artifact."""

    path: str
    """Relative to the artifact's folder, with forward slashes."""
    sha256: Digest
    size_bytes: int


class Cost(Record):
    """What a stage took. Peak memory is the process's, reset at the stage's start where the system allows."""

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    peak_gpu_memory_bytes: int = 0
    """What torch had reserved of one GPU's at most; 0 where the processor computed."""

    def after(self, earlier: "Cost") -> "Cost":
        """What both took together, one after the other."""
        return Cost(
            seconds=round(self.seconds + earlier.seconds, 3),
            cpu_seconds=round(self.cpu_seconds + earlier.cpu_seconds, 3),
            peak_memory_bytes=max(self.peak_memory_bytes, earlier.peak_memory_bytes),
            peak_gpu_memory_bytes=max(self.peak_gpu_memory_bytes, earlier.peak_gpu_memory_bytes),
        )


NOTHING_SPENT = Cost(seconds=0.0, cpu_seconds=0.0, peak_memory_bytes=0)


class FolderRecord(Record):
    """The content of a folder, whatever the folder is called and wherever it lies."""

    files: tuple[FileRecord, ...]
    """Sorted by path."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @classmethod
    def of(cls, folder: Path, digest: Callable[[Path], Digest] = digest_file) -> "FolderRecord":
        """Every file below ``folder``; ``digest`` may know what a file's is without reading it again."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls(
            files=tuple(
                FileRecord(
                    path=path.relative_to(folder).as_posix(),
                    sha256=digest(path),
                    size_bytes=path.stat().st_size,
                )
                for path in paths
            )
        )
