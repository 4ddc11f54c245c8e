"""Reading the user's rows, from wherever ``data.source`` says, into canonical columns."""

import glob
import hashlib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError, Problem
from data_contracts.records.base import digest_file
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings
from data_contracts.records.snapshot import SourceFile
from tasks.data.columns import ChosenColumns, Form, choose_columns, form_of
from tasks.data.diagnosis import diagnose_csv, diagnose_jsonl, require_short_rows
from tasks.data.source_files import DataFile, find_data_files, is_hub_id

if TYPE_CHECKING:
    import datasets
    import pandas as pd


@dataclass(frozen=True)
class SourceRows:
    """The rows as the user gave them, under canonical column names."""

    frame: "pd.DataFrame"
    """``text, label`` | ``prompt, completion`` | ``messages``, perhaps ``split``, then ``source_file``
    and ``source_row`` (the number of the record in its file, from 1)."""
    kept: "pd.DataFrame"
    """The columns of ``data.columns.keep`` as text, row by row beside ``frame``; a null is an empty text.
    Apart, so that no rule, split or identity can depend on them."""
    files: tuple[SourceFile, ...]
    form: Form
    notes: tuple[str, ...]
    """How the rows were understood, where the settings alone do not say it; for the user."""


@dataclass(frozen=True)
class _Table:
    """One file's rows, before columns are chosen."""

    file: SourceFile
    columns: dict[str, list[Any]]

    def head(self, name: str) -> list[Any]:
        return self.columns[name][:100]


def read_rows(data: DataSettings, task: Task) -> SourceRows:
    """Every row of every file, in file order.

    Raises:
        InputError: with every problem of every file: what is missing, unreadable or misnamed.
    """
    tables: list[_Table] = []
    chosen: list[ChosenColumns] = []
    problems: list[Problem] = []
    for table in _hub_tables(data.source) if is_hub_id(data.source) else _file_tables(data.source, problems):
        choice = choose_columns(
            tuple(table.columns),
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
    return SourceRows(
        frame=_joined(tables, chosen),
        kept=_kept(tables, data.columns.keep),
        files=tuple(table.file for table in tables),
        form=form_of(tuple(chosen[0].names), task),
        notes=tuple(dict.fromkeys(choice.note for choice in chosen if choice.note)),
    )


def _joined(tables: list[_Table], chosen: list[ChosenColumns]) -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, list[Any]] = {name: [] for name in (*chosen[0].names, "source_file", "source_row")}
    for table, choice in zip(tables, chosen, strict=True):
        for name in choice.names:
            values = choice.values(name, table.columns.__getitem__)
            columns[name].extend(_cleaned(name, value) for value in values)
        columns["source_file"].extend([table.file.name] * table.file.rows)
        columns["source_row"].extend(range(1, table.file.rows + 1))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.astype({"source_row": "int64"})


def _kept(tables: list[_Table], names: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    columns = {name: [_text(value) for table in tables for value in table.columns[name]] for name in names}
    rows = sum(table.file.rows for table in tables)
    return pd.DataFrame(columns, index=range(rows), dtype=object)


def _text(value: Any) -> str:
    if _is_null(value):
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(_label(value))


def _cleaned(name: str, value: Any) -> Any:
    if _is_null(value):
        return None
    if name == "label":
        return _label(value)
    if name == "messages" and isinstance(value, list):
        return [_turn(turn) for turn in value]
    return value


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _label(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


def _turn(turn: Any) -> Any:
    """Columnar files give every turn every key that any turn has; those without a value go."""
    if not isinstance(turn, dict):
        return turn
    return {key: value for key, value in turn.items() if value is not None or key in {"role", "content"}}


def _mixed_forms(tables: list[_Table], chosen: list[ChosenColumns]) -> Iterator[Problem]:
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


def _file_tables(source: str, problems: list[Problem]) -> Iterator[_Table]:
    for file in find_data_files(source):
        try:
            yield _file_table(file)
        except InputError as error:
            problems.extend(error.problems)


def _file_table(file: DataFile) -> _Table:
    sha256 = digest_file(file.path)
    columns = _read_file(file, sha256)
    rows = len(next(iter(columns.values()), []))
    if rows == 0:
        raise InputError.single(
            file.name,
            expected="at least one row",
            found="no rows" + (" below the header" if file.path.suffix == ".csv" else ""),
            remedy="write the data into it, or name another file",
        )
    columns.update(_partition_columns(file, columns, rows))
    record = SourceFile(name=file.name, sha256=sha256, size_bytes=file.path.stat().st_size, rows=rows)
    return _Table(record, columns)


def _partition_columns(file: DataFile, columns: Collection[str], rows: int) -> dict[str, list[Any]]:
    """What the names of the folders say of every row."""
    twice = [key for key, _ in file.partitions if key in columns]
    if twice:
        raise InputError.single(
            file.name,
            expected="each column once",
            found=f"{', '.join(map(repr, twice))} both in the file and in its folder's name",
            remedy="rename the column in the file, or the folder",
        )
    return {key: [value] * rows for key, value in file.partitions}


def _read_file(file: DataFile, sha256: str) -> dict[str, list[Any]]:
    match file.path.suffix:
        case ".csv":
            return _read_csv(file, sha256)
        case ".parquet":
            return _loaded("parquet", file, sha256)
        case _:
            return _read_jsonl(file, sha256)


def _read_csv(file: DataFile, sha256: str) -> dict[str, list[Any]]:
    import datasets

    require_short_rows(file.path, file.name)
    structure = diagnose_csv(file.path, file.name)
    if structure.problems:
        raise InputError(structure.problems)
    if structure.rows == 0:
        return {}
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


def _read_jsonl(file: DataFile, sha256: str) -> dict[str, list[Any]]:
    import pyarrow as pa

    require_short_rows(file.path, file.name)
    try:
        dataset = _load("json", file.path, sha256)
        # The loader turns texts that look like dates into timestamps, which do not turn back.
        if any(pa.types.is_temporal(kind) for kind in dataset.data.schema.types):
            return _records(file)
        return _columns_of(dataset)
    except InputError:
        raise
    except Exception:  # whatever a loader trips over, the slow look says what it is
        return _records(file)


def _records(file: DataFile) -> dict[str, list[Any]]:
    """The file read line by line; reached when the quick way failed or changed what stands there."""
    lines = diagnose_jsonl(file.path, file.name)
    if lines.problems:
        raise InputError(lines.problems)
    names = dict.fromkeys(name for record in lines.records for name in record)
    return {name: [record.get(name) for record in lines.records] for name in names}


def _loaded(
    kind: str, file: DataFile, sha256: str, options: dict[str, Any] | None = None
) -> dict[str, list[Any]]:
    try:
        return _columns_of(_load(kind, file.path, sha256, **(options or {})))
    except Exception as error:
        raise InputError.single(
            file.name,
            expected=f"a readable {kind} file",
            found=_first_line(error.__cause__ or error),
            remedy="write the file again; an interrupted copy ends early",
        ) from error


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


def _columns_of(dataset: "datasets.Dataset") -> dict[str, list[Any]]:
    import datasets

    columns: dict[str, list[Any]] = dataset[:]
    for name, feature in dataset.features.items():
        if isinstance(feature, datasets.ClassLabel):
            columns[name] = [None if v is None else feature.int2str(v) for v in columns[name]]
    return columns


def _hub_tables(source: str) -> Iterator[_Table]:
    import datasets

    name, _, revision = source.partition("@")
    _require_on_hub(source, name, revision or None)
    try:
        loaded = datasets.load_dataset(name, revision=revision or None)
    except Exception as error:
        raise _hub_error(source, error) from error
    for split, dataset in loaded.items():
        content = hashlib.sha256()
        for batch in dataset.data.table.combine_chunks().to_batches():
            content.update(batch.serialize())
        record = SourceFile(
            name=f"{source}:{split}",
            sha256="sha256:" + content.hexdigest(),
            size_bytes=dataset.data.nbytes,
            rows=dataset.num_rows,
        )
        yield _Table(record, _columns_of(dataset))


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
        remedy="correct the path (files end in .jsonl, .csv or .parquet), or check the id, the network and "
        "the login; with HF_HUB_OFFLINE=1 a copy fetched earlier is used",
    )


def _first_line(error: BaseException) -> str:
    """What ``error`` says, or of what type it is where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line[:200] for line in lines if line), type(error).__name__)
