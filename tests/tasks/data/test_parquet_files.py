from pathlib import Path

import pyarrow as pa
import pytest

from data_contracts.records.base import digest_file
from tasks.data.rows import parquet_files
from tasks.data.rows.parquet_files import parquet_rows
from tasks.data.rows.sorted_rows import rows_in_order

SCHEMA = pa.schema([("row_id", pa.string()), ("text", pa.string())])


def table(start: int, stop: int) -> pa.Table:
    numbers = range(start, stop)
    return pa.table(
        {"row_id": [f"{n * 7919 % 65536:04x}" for n in numbers], "text": [f"text {n}" for n in numbers]}
    )


@pytest.mark.parametrize("batch", [1, 7, 40, 100])
def test_bytes_do_not_depend_on_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(parquet_files, "ROW_GROUP", 16)
    for name, size in (("whole", 100), ("parts", batch)):
        with parquet_rows(tmp_path / name, SCHEMA) as file:
            for start in range(0, 100, size):
                file.write(table(start, min(start + size, 100)))
    assert digest_file(tmp_path / "whole") == digest_file(tmp_path / "parts")


def test_a_fault_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), parquet_rows(tmp_path / "a.parquet", SCHEMA) as file:
        file.write(table(0, 5))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_rows_come_in_order_and_the_scratch_goes(tmp_path: Path) -> None:
    parts = [table(40, 60), table(0, 40), table(60, 100)]
    ordered = pa.concat_tables(rows_in_order(iter(parts), ["row_id"], tmp_path))
    assert ordered["row_id"].to_pylist() == sorted(table(0, 100)["row_id"].to_pylist())
    assert list(tmp_path.iterdir()) == []
