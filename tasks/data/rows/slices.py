"""What a slice of a split's rows can be told by: the question, the label, and the columns that were kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.kept_tables import holds_texts
from data_contracts.records.bases import RowMask
from data_contracts.records.metrics import Task
from data_contracts.records.policy import SliceRule
from data_contracts.records.snapshot import SplitRecord
from tasks.data.rows.columns import CONTENT_COLUMNS, Form, form_of, kept_columns
from tasks.data.rows.splitting import opening_turns

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SliceColumns:
    """Texts by which rows of one split can be chosen."""

    row_ids: tuple[str, ...]
    """In the order of the file."""
    texts: Mapping[str, tuple[str, ...]]
    """By name, one text a row: ``question`` as it was written, ``label`` for classification, and the columns
    of ``data.columns.keep``, where an empty text stands for a null."""


def read_slice_columns(snapshot: Path, split: SplitRecord, task: Task) -> SliceColumns:
    """The columns of one split of the snapshot in the folder ``snapshot``.

    The question is the text, the prompt, or the contents of the turns before the first answer, a line break
    between them. Once a redaction has removed the texts, the label alone is left.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(snapshot / split.file.path)
    redacted = not holds_texts(table.column_names, split.file.texts)
    named = ["label"] if task is Task.CLASSIFICATION else []
    named += kept_columns(table.column_names)
    texts = {name: tuple(table[name].to_pylist()) for name in named}
    if not redacted:
        texts = {"question": _questions(table, form_of(table.column_names, task)), **texts}
    return SliceColumns(row_ids=tuple(table["row_id"].to_pylist()), texts=texts)


def rows_of(rule: SliceRule, columns: SliceColumns) -> RowMask:
    """The rows of one slice, in the order of the file.

    Raises:
        KeyError: the column is not there.
    """
    values = columns.texts[rule.column]
    pattern = re.compile(rule.matches) if rule.matches is not None else None
    return RowMask.of([bool(pattern.search(value)) if pattern else value == rule.equals for value in values])


def _questions(table: "pa.Table", form: Form) -> tuple[str, ...]:
    values = table[CONTENT_COLUMNS[form][0]].to_pylist()
    if form is not Form.MESSAGES:
        return tuple(values)
    return tuple("\n".join(turn["content"] for turn in opening_turns(turns)) for turns in values)
