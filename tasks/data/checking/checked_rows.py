"""The two files the contract stage leaves behind: rows that passed, and rows with reasons."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.kept_tables import table_file
from data_contracts.records.metrics import Task
from data_contracts.records.tables import TableFile
from data_contracts.row_salts import salt_fields, salted
from tasks.data.checking.findings import Rejection, Rejections
from tasks.data.checking.first_pass import AllFacts, split_names
from tasks.data.reading.sources import SourceRows
from tasks.data.rows.columns import CONTENT_COLUMNS, Form, form_of, text_columns
from tasks.data.rows.parquet_files import parquet_rows
from tasks.data.rows.row_batches import RowBatch

_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def content_fields(form: Form) -> list[tuple[str, pa.DataType]]:
    """Name and type of each content column."""
    return [(name, _TURNS if name == "messages" else pa.string()) for name in CONTENT_COLUMNS[form]]


def accepted_schema(rows: SourceRows) -> pa.Schema:
    """``row_id``, the content, ``split``, the lengths, where each row came from, kept columns, salts."""
    return pa.schema(
        [
            ("row_id", pa.string()),
            *content_fields(rows.form),
            ("split", pa.string()),
            *([("group_key", pa.string())] if "group" in rows.columns else []),
            ("tokens", pa.int32()),
            ("supervised_tokens", pa.int32()),
            ("source_file", pa.string()),
            ("source_row", pa.int64()),
            *((name, pa.string()) for name in rows.keep),
            *salt_fields(),
        ]
    )


def rejected_schema(form: Form) -> pa.Schema:
    """As accepted rows, but with their reasons and with content of any shape as text."""
    texts = ("row_id", "rules", "reason", *CONTENT_COLUMNS[form], "source_file")
    return pa.schema([*((name, pa.string()) for name in texts), ("source_row", pa.int64()), *salt_fields()])


def write_checked(
    rows: SourceRows, facts: AllFacts, rejections: Rejections, *, accepted: Path, rejected: Path
) -> None:
    """Walks over all rows once more and writes both files."""
    with ExitStack() as stack:
        kept = stack.enter_context(parquet_rows(accepted, accepted_schema(rows)))
        left = stack.enter_context(parquet_rows(rejected, rejected_schema(rows.form)))
        for batch in rows.batches():
            stop = batch.start + len(batch)
            out = rejections.rejected[batch.start : stop]
            if not out.all():
                kept.write(_accepted(batch, facts, np.flatnonzero(~out), rows))
            if out.any():
                left.write(_rejected(batch, facts, rejections.between(batch.start, stop)))


def checked_tables(accepted: Path, rejected: Path, task: Task) -> tuple[TableFile, TableFile]:
    """Both files as evidence names them."""
    names = pq.read_schema(accepted).names
    content = CONTENT_COLUMNS[form_of(names, task)]
    return table_file(accepted, text_columns(names)), table_file(rejected, content)


def _accepted(batch: RowBatch, facts: AllFacts, index: np.ndarray[Any, Any], rows: SourceRows) -> pa.Table:
    positions = batch.start + index
    taken = pa.array(index)
    columns: dict[str, Any] = {
        "row_id": _texts(facts.row_ids[positions]),
        **{name: _content(batch, name, taken) for name in CONTENT_COLUMNS[batch.form]},
        "split": pa.array(split_names(facts.splits[positions]), pa.string()),
    }
    if "group" in batch.columns:
        columns["group_key"] = batch.columns["group"].texts.take(taken)
    columns |= {
        "tokens": pa.array(facts.tokens[positions]),
        "supervised_tokens": pa.array(facts.supervised_tokens[positions]),
        "source_file": pa.array([batch.source_file] * len(index), pa.string()),
        "source_row": pa.array(batch.source_row + index, pa.int64()),
        **{name: batch.kept[name].take(taken) for name in rows.keep},
    }
    return salted(pa.table(columns), text_columns(list(columns)))


def _rejected(batch: RowBatch, facts: AllFacts, reasons: dict[int, Rejection]) -> pa.Table:
    positions = np.fromiter(reasons, dtype=np.int64, count=len(reasons))
    index = positions - batch.start
    withheld = pa.array([rejection.withheld for rejection in reasons.values()])
    table = pa.table(
        {
            "row_id": _texts(facts.row_ids[positions]),
            "rules": pa.array(["; ".join(rejection.rules) for rejection in reasons.values()], pa.string()),
            "reason": pa.array([rejection.reason for rejection in reasons.values()], pa.string()),
            **{name: _shown(batch, name, index, withheld) for name in CONTENT_COLUMNS[batch.form]},
            "source_file": pa.array([batch.source_file] * len(index), pa.string()),
            "source_row": pa.array(batch.source_row + index, pa.int64()),
        }
    )
    # A label of any shape may be anything, a text in the wrong column among others.
    return salted(table, CONTENT_COLUMNS[batch.form])


def _content(batch: RowBatch, name: str, taken: pa.Array) -> pa.Array:
    if name != "messages":
        return batch.columns[name].texts.take(taken)
    return pa.array([batch.conversations[index] for index in taken.to_pylist()], _TURNS)


def _shown(batch: RowBatch, name: str, index: np.ndarray[Any, Any], withheld: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(withheld, pa.scalar(None, pa.string()), batch.columns[name].texts.take(pa.array(index)))


def _texts(values: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(values.astype("U32").tolist(), pa.string())
