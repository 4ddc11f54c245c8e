"""What every record has in common: frozen, closed, and with one digest.

The digest of a record is the sha256 of its canonical JSON (RFC 8785), so that two people on two
machines who hold equal records of one version hold equal digests. ``==`` compares values: a record that was
read from an older file and one made today may be equal and have other digests.
"""

import hashlib
import json
from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationInfo, model_validator

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""``sha256:`` and 64 hexadecimal digits."""


UtcTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
"""UTC in one fixed form with microseconds, so that the text sorts as the time does and hashes alike."""


def utc_time(at: datetime) -> UtcTime:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_WRITTEN = "lorafirst_written"
"""In the context of a validation: what is validated was read from where it had been written."""


def was_written(info: ValidationInfo) -> bool:
    """Whether what is validated was read from where it had been written, whole, and is nobody's input."""
    return bool(info.context and info.context.get(_WRITTEN))


class _WrittenFields(set[str]):
    """The names of the fields that a record had where it was read, among all that it has today."""


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

    @classmethod
    def as_written(cls, content: bytes | str | Mapping[str, Any]) -> Self:
        """The record that was written as JSON, by this version of lorafirst or an earlier one.

        Its digest is that of what was written: fields that the record has gained since have their defaults
        and count for nothing.

        Raises:
            ValidationError: it is no such record.
        """
        context = {_WRITTEN: True}
        if isinstance(content, bytes | str):
            return cls.model_validate_json(content, context=context)
        return cls.model_validate(content, context=context)

    @model_validator(mode="after")
    def _is_whole_unless_written(self, info: ValidationInfo) -> Self:
        """What is made here says every field; pydantic would tell those from others that were given."""
        if was_written(info):
            object.__setattr__(self, "__pydantic_fields_set__", _WrittenFields(self.model_fields_set))
        # One that was read comes by here again as a part of one that is made.
        elif not isinstance(self.model_fields_set, _WrittenFields):
            object.__setattr__(self, "__pydantic_fields_set__", set(type(self).model_fields))
        return self

    def json_value(self) -> dict[str, Any]:
        """The record in JSON types, as it was written where it was read."""
        return self.model_dump(mode="json", exclude_unset=True)

    def canonical_json(self) -> bytes:
        """The record as RFC 8785 bytes."""
        return canonical_json(self.json_value())

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

    def digest(self) -> str:
        """Of path, content and size of each file alone: folders are read anew to be compared."""
        files = [{"path": f.path, "sha256": f.sha256, "size_bytes": f.size_bytes} for f in self.files]
        return digest_json({"files": files})

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
