"""The digest of what is kept follows from the values alone, and the same file gives it before and after."""

import hashlib
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.kept_tables import holds_texts, kept_digest, kept_tables, table_file
from data_contracts.records.base import digest_file, digest_json
from data_contracts.row_salts import COMMITMENT, salted

KINDS = {
    pa.string(): "text", pa.binary(4): "bytes", pa.int32(): "whole number", pa.float64(): "fraction",
    pa.bool_(): "boolean",
}  # fmt: skip
TABLE = pa.table(
    {
        "row_id": pa.array(["b", "a", "c"]),
        "name": pa.array(["é\U0001f600", None, ""]),
        "code": pa.array([b"1234", None, b"\0\0\0\0"], pa.binary(4)),
        "count": pa.array([-1, None, 2**31 - 1], pa.int32()),
        "score": pa.array([math.nan, None, -0.5], pa.float64()),
        "flag": pa.array([True, None, False]),
    }
)


def expected_of(table: pa.Table) -> str:
    """By the description, a value at a time."""
    columns = []
    for field in table.schema:
        parts = {"present": b"", "sizes": b"", "values": b""}
        for value in table[field.name].to_pylist():
            parts["present"] += bytes([value is not None])
            match KINDS[field.type]:
                case "text" | "bytes":
                    content = value.encode() if isinstance(value, str) else value or b""
                    parts["sizes"] += struct.pack("<q", len(content))
                    parts["values"] += content
                case "whole number":
                    parts["values"] += struct.pack("<q", value or 0)
                case "fraction":
                    parts["values"] += struct.pack("<d", 0.0 if value is None else value)
                case "boolean":
                    parts["values"] += bytes([bool(value)])
        digests = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
        columns.append({"name": field.name, "kind": KINDS[field.type], **digests})
    return digest_json(columns)


def digest_of(folder: Path, table: pa.Table, **options: Any) -> str:
    pq.write_table(table, folder / "a.parquet", **options)
    return kept_digest(folder / "a.parquet", ())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "none"},
        {"use_dictionary": False, "data_page_version": "2.0"},
        {"row_group_size": 1},
    ],
)
def test_it_is_what_its_description_says_however_the_file_was_written(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    assert digest_of(tmp_path, TABLE, **options) == expected_of(TABLE)


def test_types_of_more_room_chunks_and_what_lies_under_nulls_do_not_show(tmp_path: Path) -> None:
    wide = TABLE.schema
    for name, kind in (("name", pa.large_string()), ("code", pa.large_binary()), ("count", pa.int64())):
        wide = wide.set(wide.get_field_index(name), pa.field(name, kind))
    assert digest_of(tmp_path, TABLE.cast(wide)) == expected_of(TABLE)
    cut = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert digest_of(tmp_path, cut) == expected_of(TABLE)
    odd = np.frombuffer(struct.pack("<Q", 0x7FF8000000000123) + struct.pack("<dd", 7.0, -0.5), np.float64)
    hidden = pa.array(odd, mask=np.array([False, True, False]))
    assert digest_of(tmp_path, TABLE.set_column(4, "score", hidden)) == expected_of(TABLE)


def changed(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        return table.set_column(at, name, pa.array(values, table.schema.field(name).type))

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("name", ["é\U0001f600", "", None]),
        changed("name", ["é", "\U0001f600", ""]),
        changed("count", [-1, 0, 2**31 - 1]),
        changed("score", [math.nan, None, 0.5]),
        changed("flag", [True, False, None]),
        changed("code", [b"1234", b"\0\0\0\0", None]),
        lambda table: table.take([1, 0, 2]),
        lambda table: table.slice(0, 2),
        lambda table: table.drop_columns("flag"),
        lambda table: table.rename_columns(["row_id", "name", "code", "count", "score", "other"]),
        lambda table: table.select(["row_id", "code", "name", "count", "score", "flag"]),
        lambda table: table.set_column(3, "count", table["count"].cast(pa.float64())),
    ],
)
def test_whatever_is_another_table_has_another_digest(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    assert digest_of(tmp_path, change(TABLE)) != digest_of(tmp_path, TABLE)


@pytest.mark.parametrize("rows", [0, 1, 45_000])
def test_a_file_has_its_digest_before_and_after_its_texts_are_gone(tmp_path: Path, rows: int) -> None:
    ids = pa.array([f"id-{n}" for n in range(rows)], pa.string())
    texts = pa.array([f"text {n}" for n in range(rows)], pa.string())
    table = salted(
        pa.table({"row_id": ids, "text": texts, "tokens": pa.array(range(rows), pa.int32())}), ["text"]
    )
    path, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    pq.write_table(table, path)
    record = table_file(path, ["text"])
    assert (record.path, record.sha256, record.texts) == (path.name, digest_file(path), ("text",))
    left = pa.concat_tables(kept_tables(path, record.texts))
    pq.write_table(left, after)
    assert left.column_names == ["row_id", "tokens", COMMITMENT] and left.num_rows == rows
    assert left["row_id"].to_pylist() == [value.hex()[:32] for value in table[COMMITMENT].to_pylist()]
    assert kept_digest(after, record.texts) == record.kept
    assert holds_texts(pq.read_schema(path).names, record.texts)
    assert not holds_texts(pq.read_schema(after).names, record.texts)


def test_a_column_of_lists_must_be_a_text(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="list"):
        digest_of(tmp_path, pa.table({"row_id": ["a"], "turns": [["b"]]}))
