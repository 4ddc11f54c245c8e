"""What remains of a table of rows when its texts are removed, and a digest of it that no encoding changes.

Parquet and Arrow files of equal tables differ by the version that wrote them, by chunks, and in the bytes
that lie under nulls; JSON has no NaN, and writes numbers in ways of its own. So the digest is taken of the
values themselves, column by column, and is easily computed elsewhere: three running sha256 a column, over a
byte for each value that is 1 where there is one; over the length in bytes of each text (8 bytes, little
endian, 0 for none); and over the values one after the other: UTF-8 or bytes as they are, whole numbers as 8
bytes and fractions as IEEE 754 binary64, both little endian, truth values as one byte, zeros for none. It is
the sha256 of the canonical JSON of the columns' names, kinds and these three, in their order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.records.base import Digest, digest_file, digest_json
from data_contracts.records.tables import TableFile
from data_contracts.row_salts import COMMITMENT, NAME, ROW_ID, SALT, names_of

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES_PAGE = "examples.html"
"""Beside a snapshot: the one page that quotes rows."""
BATCH = 20_000
"""Rows in memory at once."""


def table_file(path: Path, texts: Sequence[str]) -> TableFile:
    """The record of a file of ours, whose columns ``texts`` a redaction would remove."""
    return TableFile(
        path=path.name,
        sha256=digest_file(path),
        size_bytes=path.stat().st_size,
        texts=tuple(texts),
        kept=kept_digest(path, texts),
    )


def holds_texts(names: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether a file with the columns ``names`` is as it was written, and not yet redacted."""
    return not {*texts, SALT, NAME}.isdisjoint(names)


def kept_digest(path: Path, texts: Sequence[str]) -> Digest:
    """Of the table in ``path`` as a redaction leaves it, or has left it."""
    digests: dict[str, _Column] = {}
    for table in kept_tables(path, texts):
        for name in table.column_names:
            digests.setdefault(name, _Column()).add(table[name])
    return digest_json([{"name": name, **column.told()} for name, column in digests.items()])


def kept_tables(path: Path, texts: Sequence[str]) -> "Iterator[pa.Table]":
    """The table in ``path``, some rows at a time, as a redaction leaves it; an empty one once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        away = {*texts, SALT, NAME}
        names = [name for name in schema.names if name not in away]
        renamed = holds_texts(schema.names, texts)
        source = NAME if NAME in schema.names else COMMITMENT
        columns = [*dict.fromkeys([*names, *([source] if renamed else [])])]
        empty = True
        for batch in file.iter_batches(BATCH, columns=columns):
            empty = False
            yield _renamed(pa.Table.from_batches([batch]), source if renamed else None).select(names)
        if empty:
            blank = pa.schema([schema.field(name) for name in columns]).empty_table()
            yield _renamed(blank, source if renamed else None).select(names)


def _renamed(table: "pa.Table", source: str | None) -> "pa.Table":
    """Identities give way to names."""
    if source is not None:
        names = table[NAME] if source == NAME else names_of(table[COMMITMENT])
        table = table.set_column(table.column_names.index(ROW_ID), ROW_ID, names)
    return table.replace_schema_metadata(None)


class _Column:
    """The digest of one column, as its values come."""

    def __init__(self) -> None:
        self.kind = ""
        self.parts = {name: hashlib.sha256() for name in ("present", "sizes", "values")}

    def add(self, values: "pa.ChunkedArray") -> None:
        array = values.combine_chunks()
        self.kind, content = _content(array)
        self.parts["present"].update(np.asarray(array.is_valid()).astype(np.uint8).tobytes())
        for name, piece in content.items():
            self.parts[name].update(piece)

    def told(self) -> dict[str, str]:
        return {"kind": self.kind, **{name: part.hexdigest() for name, part in self.parts.items()}}


def _content(array: "pa.Array") -> tuple[str, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = array.type
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return "text", _bytes(array.cast(pa.large_string()).fill_null(""))
    if kinds.is_fixed_size_binary(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return "bytes", _bytes(array.cast(pa.binary()).cast(pa.large_binary()).fill_null(b""))
    if kinds.is_boolean(kind):
        return "boolean", {"values": np.asarray(array.fill_null(False)).astype(np.uint8).tobytes()}
    if kinds.is_integer(kind):
        whole = array.cast(pa.int64()).fill_null(0)
        return "whole number", {"values": whole.to_numpy(zero_copy_only=False).astype("<i8").tobytes()}
    if kinds.is_floating(kind):
        numbers = array.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8")
        # There are many NaN, and which one a computation gives is chance.
        return "fraction", {"values": np.where(np.isnan(numbers), np.nan, numbers).tobytes()}
    raise TypeError(f"no digest is defined for columns of {kind}")


def _bytes(array: "pa.Array") -> dict[str, Any]:
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64, count=len(array) + 1, offset=8 * array.offset)
    values = memoryview(data)[ends[0] : ends[-1]] if data is not None else b""
    return {"sizes": np.diff(ends).astype("<i8").tobytes(), "values": values}
