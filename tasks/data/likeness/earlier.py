"""What earlier snapshots hold that new data must be held against: their rows' identities and gate rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_contracts.errors import InputError, Problem
from data_contracts.records.base import digest_file
from data_contracts.records.snapshot import Split
from data_contracts.row_salts import COMMITMENT, SALT
from tasks.data.likeness.row_sketches import Likeness, likeness_of, question_texts, whole_texts
from tasks.data.likeness.shingles import Shingles, shingles_of
from tasks.data.rows.columns import CONTENT_COLUMNS, Form
from tasks.data.rows.row_batches import Column, RowBatch

_BATCH = 20_000


@dataclass(frozen=True)
class GateRows:
    """The rows that earlier models were, or may yet be, judged by."""

    likeness: Likeness
    questions: Shingles
    wholes: Shingles


@dataclass(frozen=True)
class EarlierSnapshots:
    """Folders of snapshots frozen before, the last accepted one last; perhaps none."""

    folders: tuple[Path, ...] = field(default=())

    @property
    def last(self) -> Path | None:
        return self.folders[-1] if self.folders else None

    def digests(self) -> tuple[str, ...]:
        """Of every file of every snapshot, in order."""
        return tuple(digest_file(folder / f"{split}.parquet") for folder in self.folders for split in Split)

    def row_ids(self) -> np.ndarray[Any, np.dtype[np.bytes_]]:
        """The identities of all their rows."""
        import pyarrow.parquet as pq

        found = [
            np.array(
                pq.read_table(folder / f"{split}.parquet", columns=["row_id"])[0].to_pylist(), dtype="S32"
            )
            for folder in self.folders
            for split in Split
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype="S32")

    def gate_rows(self) -> GateRows | None:
        """Sketches and shingles of their gate and reserve rows; ``None`` if there are none."""
        batches = [
            batch
            for folder in self.folders
            for split in (Split.GATE, Split.RESERVE)
            for batch in snapshot_batches(folder, split)
        ]
        if not batches:
            return None
        return GateRows(
            likeness=Likeness.joined([likeness_of(batch) for batch in batches]),
            questions=shingles_of(pa.concat_arrays([question_texts(batch) for batch in batches])),
            wholes=shingles_of(pa.concat_arrays([whole_texts(batch) for batch in batches])),
        )


def find_earlier(folders: tuple[str, ...]) -> EarlierSnapshots:
    """The snapshots in ``folders``.

    Raises:
        InputError: one of them holds no snapshot that can be read; all of them at once.
    """
    problems = [
        Problem(
            where=f"data.earlier[{index}] {folder}",
            expected="the folder of a snapshot",
            found=fault,
            remedy="name the folder `snapshot` of an earlier run",
        )
        for index, folder in enumerate(folders)
        for split in Split
        if (fault := _fault_of(Path(folder) / f"{split}.parquet"))
    ]
    if problems:
        raise InputError(problems)
    return EarlierSnapshots(tuple(Path(folder) for folder in folders))


def _fault_of(path: Path) -> str | None:
    """Why one split's file cannot be compared with; ``None`` if it can."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return f"no {path.name} there"
    try:
        names = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as fault:
        return f"{path.name} cannot be read: {str(fault).splitlines()[0]}"
    if COMMITMENT in names and SALT not in names:
        return (
            f"the texts of {path.name} were removed (lorafirst redact), and nothing is left to compare with"
        )
    if "row_id" not in names or not any(set(CONTENT_COLUMNS[form]) <= names for form in Form):
        return f"{path.name} is no split of a snapshot: its columns are {', '.join(sorted(names)) or 'none'}"
    return None


def snapshot_batches(folder: Path, split: Split) -> Iterator[RowBatch]:
    """The rows of one split of the snapshot in ``folder``, batch by batch."""
    import pyarrow.parquet as pq

    path = folder / f"{split}.parquet"
    file = pq.ParquetFile(path)
    form = _form_of(file.schema_arrow.names)
    start = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=list(CONTENT_COLUMNS[form])):
        yield _rows_in(batch, form, path.name, start)
        start += batch.num_rows


def texts_of(table: "pa.Table") -> "pa.Array":
    """All that each row of a table in the form of a snapshot says."""
    form = _form_of(table.column_names)
    batch = table.select(list(CONTENT_COLUMNS[form])).combine_chunks()
    return whole_texts(_rows_in(batch, form, "", 0))


def _form_of(names: Sequence[str]) -> Form:
    return next(form for form in Form if set(CONTENT_COLUMNS[form]) <= set(names))


def _rows_in(batch: Any, form: Form, source_file: str, start: int) -> RowBatch:
    columns = {
        name: Column.of_values(batch[name].to_pylist())
        if form is Form.MESSAGES
        else Column.of_strings(_whole(batch[name]).cast(pa.string()))
        for name in CONTENT_COLUMNS[form]
    }
    return RowBatch(form, start, source_file, start + 1, columns, {})


def _whole(column: Any) -> "pa.Array":
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
