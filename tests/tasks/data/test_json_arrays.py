"""A file that holds one array of objects gives the rows of the same objects line by line."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings
from tasks.data.reading import json_arrays
from tasks.data.reading.local_copies import copies_folder
from tasks.data.reading.sources import read_rows
from tests.tasks.data.conftest import frame_of, kept_of

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFIRST_CACHE", str(tmp_path / "cache"))


FORMS: dict[str, tuple[Task, Rows]] = {
    "text and label": (
        Task.CLASSIFICATION,
        [{"text": f"häßlich \u2028 \\n {n} \U0001f642", "label": "xy"[n % 2], "n": n} for n in range(7)],
    ),
    "alpaca": (
        Task.INSTRUCTION,
        [
            {"instruction": f"Do {n}", "input": "" if n % 2 else "it", "output": f"Done {n}", "n": n}
            for n in range(7)
        ],
    ),
    "sharegpt": (
        Task.INSTRUCTION,
        [
            {"conversations": [{"from": "human", "value": f"a {n}"}, {"from": "gpt", "value": "b"}], "n": n}
            for n in range(7)
        ],
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.json.gz"])
def test_an_array_gives_the_rows_of_the_lines(
    tmp_path: Path, form: str, indent: int | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that elements, letters and line ends lie across the borders of what is read at once.
    monkeypatch.setattr(json_arrays, "_CHUNK_BYTES", 7)
    task, records = FORMS[form]
    (tmp_path / "lines.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in records), encoding="utf-8"
    )
    array = json.dumps(records, indent=indent, ensure_ascii=False).replace("\n", "\r\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(array) if name.endswith(".gz") else array)

    def read(source: str) -> Any:
        keep = ColumnSettings(keep=("n",))
        return read_rows(DataSettings(source=str(tmp_path / source), columns=keep), task)

    expected, found = read("lines.jsonl"), read(name)
    content = [column for column in frame_of(expected).columns if column != "source_file"]
    assert frame_of(found)[content].to_dict("records") == frame_of(expected)[content].to_dict("records")
    assert list(kept_of(found)["n"]) == list("0123456")
    assert found.place(4) == f"{name}, row 5"
    assert found.notes == expected.notes


def test_an_object_a_line_may_be_called_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n', encoding="utf-8")
    assert list(frame_of(read_rows(DataSettings(source=str(path)), Task.CLASSIFICATION))["text"]) == [
        "a",
        "b",
    ]


def test_an_array_that_ends_early_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"text": "a", "label": "x"},\n{"text": "b", "label": "y"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"rows.json, row 2 \(line 2\)[^!]*before the array is closed"):
        read_rows(DataSettings(source=str(path)), Task.CLASSIFICATION)
    assert [entry for entry in copies_folder().rglob("*") if entry.is_file()] == []


WALK = """
import json, resource, sys
from pathlib import Path
from tasks.data.reading.json_arrays import as_json_lines
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lines = as_json_lines(Path(sys.argv[1]), "rows.json", "sha256:" + "0" * 64)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
with lines.open("rb") as stream:
    print(json.dumps({"lines": sum(1 for _ in stream), "grown_mib": grown / 1024}))
"""


def test_an_array_of_60_mb_is_held_an_element_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for number in range(60_000):
            stream.write((", " if number else "") + json.dumps({"text": "word " * 200, "label": str(number)}))
        stream.write("]")
    result = subprocess.run([sys.executable, "-c", WALK, str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["lines"] == 60_000
    assert found["grown_mib"] < 30
