"""Records read from files, or a word about why they cannot be."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import Record

R = TypeVar("R", bound=Record)


def read_record(path: Path, kind: type[R], *, called: str | None = None) -> R:
    """The record in a JSON file.

    Args:
        called: what the message calls it, such as ``a report``; unset, the name of its class.

    Raises:
        ArtifactDamagedError: it is not there, or holds something else.
    """
    try:
        return kind.as_written(path.read_bytes())
    except (OSError, ValidationError) as error:
        name = called or kind.__name__
        raise ArtifactDamagedError(f"{path} cannot be read as {name}: {error}") from error
