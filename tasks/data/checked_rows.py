"""The two files the contract stage leaves behind: rows that passed, and rows with reasons."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.data.columns import CONTENT_COLUMNS, Form
from tasks.data.parquet_files import write_parquet
from tasks.data.rules import Rejection

if TYPE_CHECKING:
    import pandas as pd

_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def content_fields(form: Form) -> list[tuple[str, pa.DataType]]:
    """Name and type of each content column."""
    return [(name, _TURNS if name == "messages" else pa.string()) for name in CONTENT_COLUMNS[form]]


def write_accepted(frame: "pd.DataFrame", kept: "pd.DataFrame", form: Form, path: Path) -> None:
    """``row_id``, the content, ``split``, where each row came from, and the columns kept beside it."""
    fields = [
        ("row_id", pa.string()),
        *content_fields(form),
        ("split", pa.string()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
    ]
    table = _table(frame, fields)
    for name in kept.columns:
        table = table.append_column(name, pa.array(list(kept[name]), pa.string()))
    write_parquet(table, path)


def write_rejected(frame: "pd.DataFrame", form: Form, rejected: Mapping[int, Rejection], path: Path) -> None:
    """As accepted rows, but with their reasons and with content of any shape as text."""
    left = frame.iloc[list(rejected)]
    texts = {name: [_text(value) for value in left[name]] for name in CONTENT_COLUMNS[form]}
    columns: dict[str, list[Any]] = {
        "row_id": list(left["row_id"]),
        "rules": ["; ".join(rejection.rules) for rejection in rejected.values()],
        "reason": [rejection.reason for rejection in rejected.values()],
        **texts,
        "source_file": list(left["source_file"]),
    }
    fields = [pa.field(name, pa.string()) for name in columns]
    table = pa.table(columns, schema=pa.schema(fields))
    write_parquet(table.append_column("source_row", pa.array(left["source_row"], pa.int64())), path)


def _table(frame: "pd.DataFrame", fields: list[tuple[str, pa.DataType]]) -> pa.Table:
    return pa.table({name: pa.array(list(frame[name]), kind) for name, kind in fields})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
