from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.records.base import digest_file
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import Split, SplitRecord
from data_contracts.records.tables import TableFile
from tasks.data.rows.columns import CONTENT_COLUMNS, forms_of
from tasks.data.rows.slices import SliceColumns, read_slice_columns


def sliced(folder: Path, task: Task, **columns: list[Any]) -> SliceColumns:
    path = folder / "gate.parquet"
    pd.DataFrame({"row_id": ["r2", "r1"], **columns}).to_parquet(path)
    digest = digest_file(path)
    texts = tuple(name for name in columns if name != "label")
    file = TableFile(path=path.name, sha256=digest, size_bytes=path.stat().st_size, texts=texts, kept=digest)
    return read_slice_columns(folder, SplitRecord(split=Split.GATE, file=file, rows=2, label_counts={}), task)


def test_a_text_is_told_by_its_question_its_label_and_what_was_kept(tmp_path: Path) -> None:
    columns = sliced(
        tmp_path, Task.CLASSIFICATION, text=["Who  Is?", "b"], label=["x", "y"], channel=["phone", ""]
    )
    assert columns.row_ids == ("r2", "r1")
    assert columns.texts == {"question": ("Who  Is?", "b"), "label": ("x", "y"), "channel": ("phone", "")}


def test_an_instruction_is_told_by_its_prompt_and_never_by_its_answer(tmp_path: Path) -> None:
    columns = sliced(tmp_path, Task.INSTRUCTION, prompt=["p", "q"], completion=["a", "b"])
    assert columns.texts == {"question": ("p", "q")}


def test_a_conversation_is_told_by_its_turns_before_the_first_answer(tmp_path: Path) -> None:
    def talk(*turns: tuple[str, str]) -> list[dict[str, str]]:
        return [{"role": role, "content": content} for role, content in turns]

    long = talk(("system", "Be brief."), ("user", "Why?"), ("assistant", "So."), ("user", "And?"))
    columns = sliced(tmp_path, Task.INSTRUCTION, messages=[long, talk(("user", "Hi"), ("assistant", "Ho"))])
    assert columns.texts == {"question": ("Be brief.\nWhy?", "Hi")}


@pytest.mark.parametrize("task", list(Task))
def test_an_empty_split_has_the_same_columns(tmp_path: Path, task: Task) -> None:
    content: dict[str, list[str]] = {name: [] for name in CONTENT_COLUMNS[forms_of(task)[0]]}
    path = tmp_path / "reserve.parquet"
    pd.DataFrame({"row_id": [], **content, "channel": []}).to_parquet(path)
    digest = digest_file(path)
    texts = tuple(name for name in (*content, "channel") if name != "label")
    file = TableFile(path=path.name, sha256=digest, size_bytes=path.stat().st_size, texts=texts, kept=digest)
    record = SplitRecord(split=Split.RESERVE, file=file, rows=0, label_counts={})
    columns = read_slice_columns(tmp_path, record, task)
    assert columns.row_ids == ()
    names = {"question", "channel", *(("label",) if task is Task.CLASSIFICATION else ())}
    assert columns.texts == dict.fromkeys(names, ())
