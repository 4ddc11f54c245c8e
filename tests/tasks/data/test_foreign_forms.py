"""Alpaca and ShareGPT are recognised and named, never guessed silently."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataForm, DataSettings
from tasks.data.reading.sources import read_rows
from tasks.data.rows.columns import ChosenColumns, choose_columns
from tests.tasks.data.conftest import WriteRows, frame_of

ALPACA = [
    {"instruction": "Add.", "input": "2 and 2", "output": "4"},
    {"instruction": "Say yes.", "input": "", "output": "yes"},
    {"instruction": "Say no.", "input": None, "output": "no"},
]
SHAREGPT = [
    {
        "id": "a",
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Hello?"},
            {"from": "gpt", "value": "Yes.", "weight": 1},
            {"from": "tool", "value": "{}"},
        ],
    }
]


def rows(source: Path, form: DataForm | None = None, **columns: str) -> pd.DataFrame:
    settings = DataSettings(source=str(source), form=form, columns=ColumnSettings.model_validate(columns))
    return frame_of(read_rows(settings, Task.INSTRUCTION))


def refusal(source: Path, form: DataForm | None = None, **columns: str) -> str:
    with pytest.raises(InputError) as caught:
        rows(source, form, **columns)
    return str(caught.value)


def choice(found: list[str], form: DataForm | None = None, **values: Any) -> ChosenColumns:
    return choose_columns(
        found,
        settings=ColumnSettings(),
        task=Task.INSTRUCTION,
        where="a.jsonl",
        form=form,
        head=lambda name: values.get(name, ()),
    )


def test_alpaca_rows_become_prompts_and_completions(write_rows: WriteRows) -> None:
    frame = rows(write_rows("a.jsonl", ALPACA))
    assert list(frame["prompt"]) == ["Add.\n\n2 and 2", "Say yes.", "Say no."]
    assert list(frame["completion"]) == ["4", "yes", "no"]


def test_sharegpt_conversations_become_messages(write_rows: WriteRows) -> None:
    frame = rows(write_rows("a.jsonl", SHAREGPT))
    assert frame["messages"][0] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "tool", "content": "{}"},
    ]


def test_a_recognised_form_is_named_with_its_reason_and_what_is_left_unread() -> None:
    note = choice(["instruction", "input", "output", "topic"]).note
    assert note.startswith("Alpaca form: ")
    assert "because the columns are 'instruction', 'input', 'output', 'topic'" in note
    assert "Not read: 'topic'" in note
    assert "data.columns" in note
    assert choice(["conversations"], conversations=[[{"from": "human", "value": "a"}]]).note.startswith(
        "ShareGPT form: "
    )


def test_columns_of_ones_own_need_no_note() -> None:
    assert choice(["prompt", "completion"]).note == ""


@pytest.mark.parametrize(
    "found", [["prompt", "completion", "instruction", "output"], ["messages", "instruction", "output"]]
)
def test_two_forms_at_once_are_refused_with_the_choices(found: list[str]) -> None:
    (problem,) = choice(found).problems
    assert "data.form: alpaca" in problem.remedy
    assert "data.columns." in problem.remedy


def test_alpaca_and_sharegpt_at_once_are_refused() -> None:
    found = ["instruction", "output", "conversations"]
    (problem,) = choice(found, conversations=[[{"from": "human", "value": "a"}]]).problems
    assert "data.form: alpaca; data.form: sharegpt" in problem.remedy


def test_the_settings_decide_between_two_forms(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"prompt": "p", "completion": "c", "instruction": "i", "output": "o"}])
    assert list(rows(path, DataForm.ALPACA)["prompt"]) == ["i"]
    assert list(rows(path, prompt="prompt")["prompt"]) == ["p"]


def test_columns_of_other_names_can_be_read_in_a_form(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"talk": SHAREGPT[0]["conversations"]}])
    assert rows(path, DataForm.SHAREGPT, messages="talk")["messages"][0][1]["role"] == "user"


def test_conversations_with_roles_are_not_taken_for_sharegpt(write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", [{"conversations": [{"role": "user", "content": "a"}]}])
    message = refusal(path)
    assert "neither form" in message
    assert "perhaps data.columns.messages: conversations" in message


def test_mapped_conversations_of_sharegpt_say_how_to_read_them(write_rows: WriteRows) -> None:
    message = refusal(write_rows("a.jsonl", SHAREGPT), messages="conversations")
    assert "set data.form: sharegpt and data.columns.messages: conversations" in message


def test_a_missing_column_of_a_chosen_form_is_named(write_rows: WriteRows) -> None:
    assert "a column 'output'" in refusal(write_rows("a.jsonl", [{"instruction": "a"}]), DataForm.ALPACA)


def test_a_form_of_instructions_is_refused_for_labels(write_rows: WriteRows) -> None:
    settings = DataSettings(source=str(write_rows("a.jsonl", ALPACA)), form=DataForm.ALPACA)
    with pytest.raises(InputError, match="task: instruction"):
        read_rows(settings, Task.CLASSIFICATION)


def test_a_message_about_thousands_of_columns_stays_short() -> None:
    (problem,) = choice([f"column {n} " + "x" * 500 for n in range(10_000)]).problems
    assert "and 9,980 more" in problem.found
    assert len(str(problem)) < 3000
