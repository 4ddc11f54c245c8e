"""JSON Lines whose columns mix types, which no columnar loader can hold: one text a row, parsed on demand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError
from tasks.data.reading.diagnosis import diagnose_jsonl, lines_of
from tasks.data.reading.source_files import DataFile

if TYPE_CHECKING:
    import datasets

RECORD = "lorafirst:record"
"""The one column of such a table."""


@dataclass(frozen=True)
class Loaded:
    """A file as a memory-mapped table."""

    rows: "datasets.Dataset"
    columns: tuple[str, ...]
    """The names in the file; those of ``rows`` too, unless its one column is ``RECORD``."""

    @classmethod
    def of(cls, rows: "datasets.Dataset") -> "Loaded":
        return cls(rows, tuple(rows.column_names))


def load_records(file: DataFile, sha256: str) -> Loaded | None:
    """The file's lines as a table of one column, each parsed when it is asked for; ``None`` if all are blank.

    Raises:
        InputError: with every line that is not one JSON object of its own in UTF-8.
    """
    import datasets

    found = diagnose_jsonl(file.path, file.name)
    if found.problems:
        raise InputError(found.problems)
    if found.rows == 0:
        return None
    rows = datasets.Dataset.from_generator(
        _texts,
        features=datasets.Features({RECORD: datasets.Value("string")}),
        # The digest is part of the arguments because the cache goes by these, and a path may get new content.
        gen_kwargs={"path": str(file.path), "sha256": sha256},
    )
    return Loaded(rows, found.columns)


def record_of(text: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(text)
    return record


def _texts(path: str, sha256: str) -> Iterator[dict[str, str]]:
    for _, line in lines_of(path):
        yield {RECORD: line.decode("utf-8")}
