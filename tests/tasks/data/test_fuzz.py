"""Whatever bytes a file holds, reading it ends in rows or in one clear error that names the file.

Never in a traceback of a library, never in a hang, never with something half-written left behind.
"""

import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings, SplitSettings
from tasks.data.checking.contract import REJECTED, check_contract, load_contract
from tasks.data.reading.local_copies import copies_folder
from tasks.data.reading.sources import read_rows
from tests.tasks.data.conftest import every_value

fuzzed = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFIRST_CACHE", str(tmp_path / "cache"))


def outcome(name: str, content: bytes, task: Task = Task.CLASSIFICATION) -> str | int:
    """The number of rows read, or the message of the one error allowed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            rows = read_rows(DataSettings(source=str(path)), task)
            return every_value(rows)
        except InputError as error:
            message = str(error)
            assert name in message
            assert "to do:" in message
            assert len(message) < 20_000
            return message
        finally:
            assert list(copies_folder().rglob(".partial-*")) == []


GOOD = [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(8)]
LINES = "".join(json.dumps(row) + "\n" for row in GOOD).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


WHOLE: dict[str, bytes] = {
    "a.jsonl": LINES,
    "a.json": json.dumps(GOOD, indent=1).encode(),
    "a.csv": pd.DataFrame(GOOD).to_csv(index=False).encode(),
    "a.parquet": parquet(GOOD),
    "a.jsonl.gz": gzip.compress(LINES, mtime=0),
    "a.jsonl.zst": zstandard.ZstdCompressor(write_checksum=True).compress(LINES),
}


@pytest.mark.parametrize("name", WHOLE)
@fuzzed
@given(content=st.binary(min_size=1, max_size=300))
def test_any_bytes_at_all(name: str, content: bytes) -> None:
    outcome(name, content)


@pytest.mark.parametrize("name", WHOLE)
@fuzzed
@given(data=st.data())
def test_a_good_file_with_bytes_changed(name: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    outcome(name, bytes(content))


@pytest.mark.parametrize("name", WHOLE)
@fuzzed
@given(share=st.floats(0.01, 0.99))
def test_a_file_that_ends_early(name: str, share: float) -> None:
    whole = WHOLE[name]
    found = outcome(name, whole[: max(1, int(len(whole) * share))])
    if name.split(".")[-1] in {"json", "parquet", "gz", "zst"}:
        assert isinstance(found, str)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["2020-01-01", "12:30", "null", "NaN", "\ufeff", "\x00", "\ud800", "🙂", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
turn = (
    st.fixed_dictionaries({"role": values, "content": values})
    | st.dictionaries(st.sampled_from(["role", "from", "value"]), values)
    | values
)
turns = st.lists(turn, max_size=4)


@fuzzed
@given(st.lists(st.fixed_dictionaries({"text": values, "label": values}), min_size=1, max_size=5))
@example([{"text": 1e999, "label": 2**70}])
@example([{"text": {"a": None}, "label": 1}, {"text": {"a": {"b": None}}, "label": "1"}])
@example([{"text": [], "label": [[]]}, {"text": [None], "label": [[1]]}])
def test_records_of_any_shape_are_rows_or_named(records: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    found = outcome("a.jsonl", content)
    assert isinstance(found, str) or found == len(records)
    in_array = outcome("a.json", json.dumps(records, indent=1).encode())
    assert in_array == (found.replace("a.jsonl", "a.json") if isinstance(found, str) else found)


@fuzzed
@given(st.lists(st.fixed_dictionaries({"messages": turns | values}), min_size=1, max_size=5))
def test_conversations_of_any_shape_are_rows_or_named(records: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    found = outcome("a.jsonl", content, Task.INSTRUCTION)
    assert isinstance(found, str) or found == len(records)


@pytest.mark.slow
@settings(fuzzed, max_examples=15)
@given(
    st.lists(st.fixed_dictionaries({"text": values, "label": values}), min_size=1, max_size=5),
    st.lists(st.fixed_dictionaries({"messages": turns | values}), min_size=1, max_size=5),
)
def test_every_row_of_any_shape_is_accepted_or_put_aside_with_a_reason(
    chat_tokenizer: Any, labelled: list[dict[str, Any]], talks: list[dict[str, Any]]
) -> None:
    for task, records in ((Task.CLASSIFICATION, labelled), (Task.INSTRUCTION, talks)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = folder / "a.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
            try:
                rows = read_rows(DataSettings(source=str(path)), task)
            except InputError:
                continue
            evidence = check_contract(
                rows,
                contract=load_contract(None, task),
                task=task,
                tokenizer=chat_tokenizer,
                max_tokens=32,
                splits=SplitSettings(),
                folder=folder / "checked",
            )
            rejected = pd.read_parquet(folder / "checked" / REJECTED)
            assert evidence.rows_accepted + len(rejected) == len(records)
            assert rejected["reason"].str.len().gt(0).all()
            unrun = [rule.name for rule in evidence.rules if rule.observed.startswith("not run")]
            assert unrun == []


ROW = b'{"text": "a", "label": "x"}\n'
DIGITS = ROW + b'{"text": ' + b"9" * 5000 + b', "label": "x"}\n'
NESTED = ROW + b'{"text": ' + b"[" * 9000 + b"]" * 9000 + b', "label": "x"}\n'
NAMED: dict[str, tuple[str, bytes, str]] = {
    "duplicate key": ("a.jsonl", ROW + b'{"text": "a", "text": "b", "label": "x"}\n', "a.jsonl, row 2"),
    "invalid UTF-8": ("a.jsonl", ROW + b'{"text": "\xff", "label": "x"}\n', "a.jsonl, row 2"),
    "number without end": ("a.jsonl", DIGITS, "a.jsonl, row 2"),
    "too deep": ("a.jsonl", NESTED, "a.jsonl, row 2"),
    "NUL bytes": ("a.jsonl", ROW + b"\x00" * 40 + b"\n", "a.jsonl, row 2"),
    "UTF-16": ("a.jsonl", "\ufeff{}\n".encode("utf-16-le"), "iconv -f UTF-16"),
    "unclosed quote": ("a.csv", b'text,label\na,x\n"b,y\n', "a.csv, row 2"),
    "csv of one long quote": ("a.csv", b'text,label\n"' + b"a\n" * 2**24, "a.csv, row 1"),
    "header twice": ("a.csv", b"text,label,text\na,x,b\n", "a.csv, header"),
    "not a parquet": ("a.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1", "a.parquet"),
    "array that ends early": ("a.json", b"[" + ROW + b", " + ROW[:-9], "a.json, row 2 (line 2)"),
    "array without a comma": ("a.json", b"[" + ROW + ROW + b"]", "a.json, row 1 (line 2)"),
    "array with a comma too many": ("a.json", b"[" + ROW + b",]", "a.json, row 2 (line 2)"),
    "two arrays": ("a.json", b"[" + ROW + b"][]", "nothing behind the closing ]"),
    "invalid UTF-8 in an array": ("a.json", b"[" + ROW + b"," + ROW[:9] + b"\xff", "a.json, row 2 (line 2)"),
    "too deep in an array": ("a.json", b"[" + NESTED.replace(b"\n{", b"\n,{"), "a.json, row 2 (line 2)"),
    "array of texts": ("a.json", b'["a", "b"]', "a.json, row 2"),
    "an image": ("a.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a.jsonl, row 1"),
}  # fmt: skip


LARGE = {"csv of one long quote"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case in LARGE else []) for case in NAMED]
)
def test_known_faults_are_named_by_file_and_row(case: str) -> None:
    name, content, says = NAMED[case]
    found = outcome(name, content)
    assert isinstance(found, str)
    assert says in found


def test_a_byte_order_mark_is_no_fault() -> None:
    assert outcome("a.jsonl", b"\xef\xbb\xbf" + ROW) == 1
    assert outcome("a.csv", b"\xef\xbb\xbftext,label\na,x\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet"])
@pytest.mark.parametrize("columns", [True, False], ids=["ours among them", "ours missing"])
def test_ten_thousand_columns(name: str, columns: bool) -> None:
    record = {f"column_{n}": "v" for n in range(10_000)} | ({"text": "a", "label": "x"} if columns else {})
    write: dict[str, Callable[[], bytes]] = {
        "a.jsonl": lambda: json.dumps(record).encode() + b"\n",
        "a.json": lambda: json.dumps([record]).encode(),
        "a.csv": lambda: pd.DataFrame([record]).to_csv(index=False).encode(),
        "a.parquet": lambda: parquet([record]),
    }
    began = time.monotonic()
    found = outcome(name, write[name]())
    assert found == 1 if columns else isinstance(found, str)
    assert time.monotonic() - began < 60


LONG_LINE = """
import json, resource, sys
sys.path.insert(0, "")
from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings
from tasks.data.reading.sources import read_rows
import datasets
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_rows(DataSettings(source=sys.argv[1]), Task.CLASSIFICATION)
    message = "read"
except InputError as error:
    message = str(error)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"message": message, "grown_mib": grown / 1024}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz"])
def test_a_line_of_200_mb_is_named_in_bounded_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    header, row = (b"text,label\n", b"a,x\n") if name == "a.csv" else (b"", ROW)
    if name == "a.json":
        header, row = b"[", ROW.rstrip() + b",\n"
    opening, closing = (b"", b",x\n") if name == "a.csv" else (b'{"text": "', b'", "label": "x"}\n')
    with gzip.open(path, "wb", compresslevel=1) if name.endswith(".gz") else path.open("wb") as stream:
        stream.write(header + row + opening)
        for _ in range(200):
            stream.write(b"word " * 200_000)
        stream.write(closing + (b"," + ROW + b"]" if name == "a.json" else row))
    result = subprocess.run(
        [sys.executable, "-c", LONG_LINE, str(path)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    line = 3 if name == "a.csv" else 2
    assert f"{name}, line {line}" in found["message"] or f"{name}, row 2" in found["message"]
    assert found["grown_mib"] < 300
