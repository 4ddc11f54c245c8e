"""Some rows at a time, as Arrow arrays of text: the form in which rows pass through rules and writers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.data.rows.columns import CONTENT_COLUMNS, Form

KINDS = ("null", "string", "integer", "number", "boolean", "array", "object", "other")
"""ODCS's names of types; a null has none and comes first."""

STRING = KINDS.index("string")


@dataclass(frozen=True)
class Column:
    """The values of one column."""

    texts: pa.Array
    """Strings: a text as it is, a value of any other type as JSON, null for null."""
    kinds: np.ndarray[Any, Any]
    """Index into ``KINDS`` of each value's type."""

    @property
    def only_strings(self) -> bool:
        return bool((self.kinds == STRING).all())

    def values(self) -> list[Any]:
        """The values as Python objects again."""
        texts: list[Any] = self.texts.to_pylist()
        if bool((self.kinds <= STRING).all()):
            return texts
        return [
            text if kind <= STRING else json.loads(text) for text, kind in zip(texts, self.kinds, strict=True)
        ]

    @classmethod
    def of_strings(cls, texts: pa.Array) -> "Column":
        """A column of texts and nulls."""
        kinds = np.full(len(texts), STRING, dtype=np.uint8)
        if texts.null_count:
            kinds[np.asarray(texts.is_null())] = 0
        return cls(texts, kinds)

    @classmethod
    def of_values(cls, values: Sequence[Any]) -> "Column":
        """A column of values of any JSON type."""
        kinds = np.fromiter((kind_of(value) for value in values), dtype=np.uint8, count=len(values))
        return cls(pa.array([as_text(value) for value in values], pa.string()), kinds)


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows of one file."""

    form: Form
    start: int
    """Position of the first row among all rows of all files, from 0."""
    source_file: str
    source_row: int
    """Number of the first row in its file, from 1."""
    columns: Mapping[str, Column]
    """The content columns; perhaps ``split`` and ``group``."""
    kept: Mapping[str, pa.Array]
    """The columns of ``data.columns.keep`` as text; apart, so that no rule or identity can depend on them."""

    def __len__(self) -> int:
        return len(self.columns[CONTENT_COLUMNS[self.form][0]].texts)

    @property
    def content(self) -> tuple[Column, ...]:
        return tuple(self.columns[name] for name in CONTENT_COLUMNS[self.form])

    @cached_property
    def conversations(self) -> list[Any]:
        """The values of ``messages``, whatever their shape."""
        return self.columns["messages"].values()

    @cached_property
    def written(self) -> Mapping[str, pa.Array]:
        """What somebody wrote, by content column: texts as they are, the contents of a conversation's turns
        with a line break between them, null where there is no text. A label is not among them."""
        if self.form is Form.MESSAGES:
            return {"messages": pa.array([_contents(turns) for turns in self.conversations], pa.string())}
        names = [name for name in CONTENT_COLUMNS[self.form] if name != "label"]
        return {name: _only_strings(self.columns[name]) for name in names}


def kind_of(value: object) -> int:
    """Index into ``KINDS``."""
    if is_null(value):
        return 0
    if isinstance(value, bool):
        return KINDS.index("boolean")
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return KINDS.index(next((name for kind, name in names.items() if isinstance(value, kind)), "other"))


def as_text(value: object) -> str | None:
    """A text as it is, null as ``None``, anything else as JSON."""
    if is_null(value):
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _only_strings(column: Column) -> pa.Array:
    import pyarrow.compute as pc

    if column.only_strings:
        return column.texts
    return pc.if_else(pa.array(column.kinds == STRING), column.texts, pa.scalar(None, pa.string()))


def _contents(turns: Any) -> str | None:
    if not isinstance(turns, list):
        return turns if isinstance(turns, str) else None
    contents = [turn.get("content") for turn in turns if isinstance(turn, dict)]
    return "\n".join(content for content in contents if isinstance(content, str))
