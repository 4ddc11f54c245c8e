"""What looks for planted secrets finds them where a search of bytes would not."""

import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.flows.planted import DATA_SECRET, SIGNING_PASSWORD, written


def test_a_secret_is_found_in_plain_files_over_pages_of_a_database_and_in_compressed_tables(
    tmp_path: Path,
) -> None:
    (tmp_path / "log").write_text(f"key {DATA_SECRET}", encoding="utf-8")
    words = [f"{SIGNING_PASSWORD} {number}" for number in range(300)] * 9
    pq.write_table(pa.table({"text": [DATA_SECRET, *words]}), tmp_path / "a.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "b.sqlite") as connection:
        connection.execute("CREATE TABLE said (words TEXT)")
        text = f"{'.' * 735}{DATA_SECRET}{'.' * 12_265}"
        connection.execute("INSERT INTO said VALUES (?)", (text,))
    connection.close()
    assert DATA_SECRET.encode() not in (tmp_path / "b.sqlite").read_bytes()
    found = {(Path(path).name, secret) for path, secret in written([tmp_path])}
    assert found >= {("log", DATA_SECRET), ("a.parquet", DATA_SECRET), ("b.sqlite", DATA_SECRET)}
    assert ("a.parquet", SIGNING_PASSWORD) in found
    assert written([tmp_path], ["planted-nowhere"]) == []
