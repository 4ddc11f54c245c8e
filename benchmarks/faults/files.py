"""Files that cannot be read as they are: each must end in one error that names file and place."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import zstandard

from benchmarks.faults.planting import Rows


@dataclass(frozen=True)
class FileFault:
    """One way in which a file is broken."""

    name: str
    file: str
    place: str
    """What the error must say about where."""
    write: Callable[[Rows], bytes]


def lines(rows: Rows) -> list[bytes]:
    return [json.dumps(row).encode() + b"\n" for row in rows]


def with_line(number: int, line: bytes) -> Callable[[Rows], bytes]:
    """Row ``number``, from 1, replaced by ``line``."""

    def write(rows: Rows) -> bytes:
        written = lines(rows)
        written[number - 1] = line + b"\n"
        return b"".join(written)

    return write


def csv_with(number: int, line: bytes) -> Callable[[Rows], bytes]:
    def write(rows: Rows) -> bytes:
        written = pd.DataFrame(rows).to_csv(index=False).encode().splitlines(keepends=True)
        written[number] = line + b"\n"
        return b"".join(written)

    return write


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def parquet(rows: Rows) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


FILES: tuple[FileFault, ...] = (
    FileFault("line cut off", "a.jsonl", "row 7", with_line(7, b'{"text": "cut o')),
    FileFault("array for an object", "a.jsonl", "row 7", with_line(7, b'["a", "b"]')),
    FileFault("key twice", "a.jsonl", "row 7", with_line(7, b'{"text": "a", "text": "b", "label": "HUM"}')),
    FileFault("not UTF-8", "a.jsonl", "row 7", with_line(7, b'{"text": "caf\xe9", "label": "HUM"}')),
    FileFault("half a surrogate", "a.jsonl", "row 7", with_line(7, b'{"text": "\\ud83d", "label": "HUM"}')),
    FileFault("binary line", "a.jsonl", "row 7", with_line(7, bytes(range(1, 10)) + b"\x80\x81")),
    FileFault(
        "UTF-16 file", "a.jsonl", "row 1", lambda rows: b"".join(lines(rows)).decode().encode("utf-16")
    ),
    FileFault(
        "gzip cut off", "a.jsonl.gz", "after line", lambda rows: half(gzip.compress(b"".join(lines(rows))))
    ),
    FileFault("not gzip at all", "a.jsonl.gz", "after line 0", lambda rows: b"".join(lines(rows))),
    FileFault(
        "zstd cut off",
        "a.jsonl.zst",
        "after line",
        lambda rows: half(zstandard.ZstdCompressor().compress(b"".join(lines(rows)))),
    ),
    FileFault("half a parquet", "a.parquet", "a.parquet", lambda rows: half(parquet(rows))),
    FileFault("empty file", "a.jsonl", "a.jsonl", lambda rows: b""),
    FileFault("row with a field missing", "a.csv", "row 7", csv_with(7, b"only a text")),
    FileFault("row with a field too many", "a.csv", "row 7", csv_with(7, b"a,HUM,more")),
    FileFault("column named twice", "a.csv", "header", csv_with(0, b"text,text")),
    FileFault("column of another name", "a.csv", "a.csv", csv_with(0, b"question,topic")),
)
