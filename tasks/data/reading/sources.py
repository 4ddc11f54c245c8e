"""Reading the user's rows, from wherever ``data.source`` says, into canonical columns.

Rows stay on disk: ``datasets`` keeps each file once as memory-mapped Arrow under the digest of its content,
and what is asked for is read batch by batch.
"""

import dataclasses
import glob
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data_contracts.errors import InputError, Problem
from data_contracts.records.base import digest_file
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings
from data_contracts.records.snapshot import SourceFile
from tasks.data.reading.diagnosis import diagnose_csv, require_short_rows
from tasks.data.reading.json_arrays import as_json_lines, holds_array
from tasks.data.reading.json_lines import RECORD, Loaded, load_records, record_of
from tasks.data.reading.source_files import DataFile, find_data_files, is_hub_id
from tasks.data.reading.unicode_check import undecodable_rows
from tasks.data.rows.columns import ChosenColumns, Form, choose_columns
from tasks.data.rows.row_batches import Column, RowBatch, as_text, is_null

if TYPE_CHECKING:
    import datasets

BATCH_ROWS = 20_000
BATCH_BYTES = 32 * 2**20
"""A batch holds at most so many rows, and about so many bytes of its file."""

_HEAD_ROWS = 100
"""Rows by which the form of conversations is known."""


@dataclass(frozen=True)
class SourceTable:
    """One file's rows, before columns are chosen."""

    file: SourceFile
    rows: "datasets.Dataset"
    """As the file has them; or one column ``RECORD`` with each row's JSON, where a column mixes types."""
    columns: tuple[str, ...]
    """Of the file, and behind them those that its folders' names give."""
    partitions: Mapping[str, str | None] = field(default_factory=dict)
    """What the names of its folders say of every row."""

    def column(self, name: str, start: int, stop: int) -> Column:
        """The values of the file's column ``name`` in rows ``start`` to ``stop`` (not included)."""
        import datasets

        if name in self.partitions:
            return Column.of_strings(pa.array([self.partitions[name]] * (stop - start), pa.string()))
        if name not in self.rows.features:
            records = [record_of(text) for text in self._array(RECORD, start, stop).to_pylist()]
            return Column.of_values([record.get(name) for record in records])
        feature = self.rows.features[name]
        if isinstance(feature, datasets.Value) and feature.dtype in {"string", "large_string"}:
            return Column.of_strings(self._array(name, start, stop))
        values = self.rows.select_columns([name])[start:stop][name]
        if isinstance(feature, datasets.ClassLabel):
            values = [None if value is None else feature.int2str(value) for value in values]
        return Column.of_values(values)

    def head(self, name: str) -> list[Any]:
        """The column's first few values."""
        return self.column(name, 0, min(_HEAD_ROWS, self.file.rows)).values()

    def _array(self, name: str, start: int, stop: int) -> pa.Array:
        chunked = self.rows.data.table.slice(start, stop - start)[name].cast(pa.string())
        return pa.concat_arrays(chunked.chunks) if chunked.num_chunks != 1 else chunked.chunk(0)


@dataclass(frozen=True)
class SourceRows:
    """The rows as the user gave them, under canonical column names, read whenever they are asked for."""

    form: Form
    tables: tuple[SourceTable, ...]
    chosen: tuple[ChosenColumns, ...]
    """Beside ``tables``: the file's name of each canonical column."""
    keep: tuple[str, ...]

    @property
    def files(self) -> tuple[SourceFile, ...]:
        return tuple(table.file for table in self.tables)

    @property
    def notes(self) -> tuple[str, ...]:
        """How the rows were understood, where the settings alone do not say it; for the user."""
        return tuple(dict.fromkeys(choice.note for choice in self.chosen if choice.note))

    @property
    def columns(self) -> tuple[str, ...]:
        """The canonical columns: the content, perhaps ``split`` and ``group``."""
        return tuple(self.chosen[0].names)

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate(table.file.rows for table in self.tables))

    def __len__(self) -> int:
        return self._ends[-1]

    def place(self, position: int) -> str:
        """``FILE, row N`` of the row at ``position``, as it is spoken of to people."""
        index = bisect_right(self._ends, position)
        before = self._ends[index - 1] if index else 0
        return f"{self.tables[index].file.name}, row {position - before + 1}"

    def batches(self, wanted: np.ndarray[Any, np.dtype[np.int64]] | None = None) -> Iterator[RowBatch]:
        """All rows, in the order of the files; with ``wanted``, positions that ascend, only batches that hold
        one of them."""
        before = 0
        for table, choice in zip(self.tables, self.chosen, strict=True):
            rows, size = table.file.rows, rows_per_batch(table.file)
            for first in range(0, rows, size):
                stop = min(first + size, rows)
                if wanted is None or len(within(wanted, before + first, before + stop)):
                    yield self._batch(table, choice, before, first, stop)
            before += rows

    def _batch(
        self, table: SourceTable, choice: ChosenColumns, before: int, first: int, stop: int
    ) -> RowBatch:
        def read(original: str) -> Column:
            return table.column(original, first, stop)

        columns = {
            name: _cleaned(
                name,
                Column.of_values(choice.values(name, lambda original: read(original).values()))
                if choice.translates(name)
                else read(original),
            )
            for name, original in choice.names.items()
        }
        return RowBatch(
            form=self.form,
            start=before + first,
            source_file=table.file.name,
            source_row=first + 1,
            columns=columns,
            kept={name: _kept(table.column(name, first, stop)) for name in self.keep},
        )


def within(
    positions: np.ndarray[Any, np.dtype[np.int64]], start: int, stop: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Those of the ascending ``positions`` from ``start`` to ``stop`` (not included)."""
    return positions[np.searchsorted(positions, start) : np.searchsorted(positions, stop)]


def rows_per_batch(file: SourceFile) -> int:
    """How many rows of ``file`` are looked at together, so that long rows do not fill the memory."""
    bytes_per_row = max(1, file.size_bytes // max(1, file.rows))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // bytes_per_row))


def read_rows(data: DataSettings, task: Task) -> SourceRows:
    """Every row of every file, in file order; nothing but their names and number is in memory.

    Raises:
        InputError: with every problem of every file: what is missing, unreadable or misnamed.
    """
    tables: list[SourceTable] = []
    chosen: list[ChosenColumns] = []
    problems: list[Problem] = []
    for table in _hub_tables(data.source) if is_hub_id(data.source) else _file_tables(data.source, problems):
        choice = choose_columns(
            table.columns,
            settings=data.columns,
            task=task,
            where=table.file.name,
            form=data.form,
            head=table.head,
        )
        problems.extend(choice.problems)
        tables.append(table)
        chosen.append(choice)
    problems.extend(_mixed_forms(tables, chosen))
    if problems:
        raise InputError(problems)
    form = chosen[0].form
    assert form is not None
    return SourceRows(form, tuple(tables), tuple(chosen), data.columns.keep)


def _cleaned(name: str, column: Column) -> Column:
    if name in {"label", "group"} and not column.only_strings:
        return Column.of_values([label_text(value) for value in column.values()])
    if name == "messages":
        return Column.of_values([_turns(value) for value in column.values()])
    return column


def _kept(column: Column) -> pa.Array:
    if column.only_strings:
        return column.texts
    return pa.array(["" if is_null(v) else as_text(label_text(v)) for v in column.values()], pa.string())


def label_text(value: Any) -> Any:
    """Numbers and truth values as text, so that 1, 1.0 and "1" are one label; the rest as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) and not is_null(value) else value


def _turns(value: Any) -> Any:
    """Columnar files give every turn every key that any turn has; those without a value go."""
    if not isinstance(value, list):
        return value
    return [_turn(turn) for turn in value]


def _turn(turn: Any) -> Any:
    if not isinstance(turn, dict):
        return turn
    return {key: value for key, value in turn.items() if value is not None or key in {"role", "content"}}


def _mixed_forms(tables: Sequence[SourceTable], chosen: Sequence[ChosenColumns]) -> Iterator[Problem]:
    forms: dict[Form, str] = {}
    for table, choice in zip(tables, chosen, strict=True):
        if choice.form is not None:
            forms.setdefault(choice.form, table.file.name)
    if len(forms) > 1:
        yield Problem(
            where=", ".join(forms.values()),
            expected="the same columns in every file",
            found=" and ".join(f"{form.value} in {name}" for form, name in forms.items()),
            remedy="bring all files into one form, or run them apart",
        )


def _file_tables(source: str, problems: list[Problem]) -> Iterator[SourceTable]:
    for file in find_data_files(source):
        try:
            yield _file_table(file)
        except InputError as error:
            problems.extend(error.problems)


def _file_table(file: DataFile) -> SourceTable:
    sha256 = digest_file(file.path)
    read = _read_file(file, sha256)
    if read is None or read.rows.num_rows == 0:
        raise InputError.single(
            file.name,
            expected="at least one row",
            found="no rows" + (" below the header" if file.path.suffix == ".csv" else ""),
            remedy="write the data into it, or name another file",
        )
    record = SourceFile(
        name=file.name, sha256=sha256, size_bytes=file.path.stat().st_size, rows=read.rows.num_rows
    )
    partitions = dict(file.partitions)
    twice = [name for name in partitions if name in read.columns]
    if twice:
        raise InputError.single(
            file.name,
            expected="each column once",
            found=f"{', '.join(map(repr, twice))} both in the file and in its folder's name",
            remedy="rename the column in the file, or the folder",
        )
    return SourceTable(record, read.rows, (*read.columns, *partitions), partitions)


def _read_file(file: DataFile, sha256: str) -> Loaded | None:
    match file.path.suffix:
        case ".csv":
            return _read_csv(file, sha256)
        case ".parquet":
            return _loaded("parquet", file, sha256)
        case _:
            return _read_json(file, sha256)


def _read_csv(file: DataFile, sha256: str) -> Loaded | None:
    import datasets

    require_short_rows(file.path, file.name)
    structure = diagnose_csv(file.path, file.name)
    if structure.problems:
        raise InputError(structure.problems)
    if structure.rows == 0:
        return None
    # Left to itself the reader turns "007" into 7 and the words NA, None and null into missing values.
    options: dict[str, Any] = {
        "features": datasets.Features({column: datasets.Value("string") for column in structure.header}),
        "names": list(structure.header),
        "header": 0,
        "keep_default_na": False,
        "na_values": [""],
        "index_col": False,
    }
    return _loaded("csv", file, sha256, options)


def _read_json(file: DataFile, sha256: str) -> Loaded | None:
    if holds_array(file.path):
        file = dataclasses.replace(file, path=as_json_lines(file.path, file.name, sha256))
    require_short_rows(file.path, file.name)
    try:
        rows = _load("json", file.path, sha256)
        # The loader turns texts that look like dates into timestamps, which do not turn back.
        dated = any(pa.types.is_temporal(kind) for kind in rows.data.schema.types)
        if not dated and not undecodable_rows(rows.data.table, file.name):
            return Loaded.of(rows)
    except Exception:  # noqa: S110 - whatever a loader trips over, the slow look says what it is
        pass
    return load_records(file, sha256)


def _loaded(kind: str, file: DataFile, sha256: str, options: dict[str, Any] | None = None) -> Loaded:
    try:
        rows = _load(kind, file.path, sha256, **(options or {}))
    except Exception as error:
        raise InputError.single(
            file.name,
            expected=f"a readable {kind} file",
            found=_first_line(error.__cause__ or error),
            remedy="write the file again; an interrupted copy ends early",
        ) from error
    problems = undecodable_rows(rows.data.table, file.name)
    if problems:
        raise InputError(problems)
    return Loaded.of(rows)


def _load(kind: str, path: Path, sha256: str, **options: Any) -> "datasets.Dataset":
    import datasets
    from datasets.utils import logging

    logging.disable_progress_bar()
    # The loader logs an error of its own for every file that is then explained row by row here.
    logging.set_verbosity(logging.CRITICAL)
    # The content's digest stands in the configuration's name because the cache goes by path and time
    # alone, and would answer with the old rows for a file that was replaced under an old timestamp.
    return datasets.load_dataset(
        kind,
        name="content-" + sha256.removeprefix("sha256:")[:32],
        # The loader takes a pattern, to which shard[1].csv is another file's name.
        data_files=glob.escape(str(path)),
        split="train",
        **options,
    )


def _hub_tables(source: str) -> Iterator[SourceTable]:
    import datasets

    name, _, revision = source.partition("@")
    _require_on_hub(source, name, revision or None)
    try:
        loaded = datasets.load_dataset(name, revision=revision or None)
    except Exception as error:
        raise _hub_error(source, error) from error
    for split, dataset in loaded.items():
        content = hashlib.sha256()
        for batch in dataset.data.table.to_batches(max_chunksize=BATCH_ROWS):
            content.update(batch.serialize())
        record = SourceFile(
            name=f"{source}:{split}",
            sha256="sha256:" + content.hexdigest(),
            size_bytes=dataset.data.nbytes,
            rows=dataset.num_rows,
        )
        yield SourceTable(record, dataset, tuple(dataset.column_names))


def _require_on_hub(source: str, name: str, revision: str | None) -> None:
    """Asks once, within seconds; the loader itself would try for half a minute."""
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return
    try:
        huggingface_hub.HfApi().dataset_info(name, revision=revision, timeout=5)
    except Exception as error:
        raise _hub_error(source, error) from error


def _hub_error(source: str, error: Exception) -> InputError:
    return InputError.single(
        f"data.source {source}",
        expected="an existing local file, or a data set on the Hugging Face hub that can be reached",
        found=f"no such file, and the hub says: {_first_line(error)}",
        remedy="correct the path (a file ends in .jsonl, .json, .csv or .parquet), or check the id, the "
        "network and the login; with HF_HUB_OFFLINE=1 a copy fetched earlier is used",
    )


def _first_line(error: BaseException) -> str:
    """What ``error`` says, or of what type it is where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line[:200] for line in lines if line), type(error).__name__)
