"""The datasheet says what a snapshot holds, and shows nobody's secrets and no row that is held out."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data_contracts.kept_tables import EXAMPLES_PAGE
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.checking.contract import check_contract, load_contract
from tasks.data.pages.datasheet_files import DATASHEET_MARKDOWN, DATASHEET_PAGE, write_datasheet
from tasks.data.reading.sources import read_rows
from tasks.data.snapshot.freezing import freeze_snapshot

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Rows = list[dict[str, Any]]


class Sheet:
    """The files of a datasheet, for rows given as records."""

    def __init__(self, folder: Path, rows: Rows, tokenizer: "PreTrainedTokenizerBase", **stated: str) -> None:
        source = folder / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        task = Task.CLASSIFICATION if "label" in rows[0] else Task.INSTRUCTION
        columns = ColumnSettings(split="split" if "split" in rows[0] else None)
        self.evidence = check_contract(
            read_rows(DataSettings(source=str(source), columns=columns), task),
            contract=load_contract(None, task),
            task=task,
            tokenizer=tokenizer,
            max_tokens=64,
            splits=SplitSettings(),
            folder=folder / "checked",
        )
        self.folder = folder / "snapshot"
        self.snapshot = freeze_snapshot(folder / "checked", self.evidence, self.folder)
        write_datasheet(self.folder, self.snapshot, self.evidence, stated, version="1")
        self.page = (self.folder / DATASHEET_PAGE).read_text(encoding="utf-8")
        self.examples = (self.folder / EXAMPLES_PAGE).read_text(encoding="utf-8")
        self.markdown = (self.folder / DATASHEET_MARKDOWN).read_text(encoding="utf-8")


def questions_of(count: int = 300) -> Rows:
    return [{"text": f"question number {n}", "label": "xy"[n % 3 == 0]} for n in range(count)]


def test_counts_and_shares_are_those_of_the_snapshot(tmp_path: Path, chat_tokenizer: Any) -> None:
    rows = questions_of()
    sheet = Sheet(tmp_path, [*rows, rows[0], rows[0]], chat_tokenizer)
    for record in sheet.snapshot.splits:
        assert f"{record.rows:,}  ({100 * record.rows / 300:.1f} %)" in sheet.page
        assert f"| {record.split} |" in sheet.markdown
    train = sheet.snapshot.split(Split.TRAIN)
    assert f"{train.label_counts['x']:,}  ({100 * train.label_counts['x'] / train.rows:.1f} %)" in sheet.page
    assert re.search(r"no_duplicates</td>.*?2  \(0\.7 %\)", sheet.page, re.DOTALL)


def test_examples_come_from_train_alone(tmp_path: Path, chat_tokenizer: Any) -> None:
    sheet = Sheet(tmp_path, questions_of(), chat_tokenizer)
    held_out = [
        text
        for split in (Split.TUNE, Split.GATE, Split.RESERVE)
        for text in pd.read_parquet(sheet.folder / f"{split}.parquet")["text"]
    ]
    assert len(held_out) > 50
    shown = re.findall(r"question number \d+", sheet.examples)
    assert shown
    assert set(shown).isdisjoint(held_out)
    assert not re.findall(r"question number \d+", sheet.page + sheet.markdown)


PRIVATE = ["ada@example.org", "+49 30 12345678", "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE"]


@pytest.mark.parametrize("secret", PRIVATE)
def test_rows_with_personal_data_or_secrets_are_never_shown(
    tmp_path: Path, chat_tokenizer: Any, secret: str
) -> None:
    # All of train but a few rows is private, so that an example drawn without looking would show it.
    rows = [
        {**row, "text": f"{row['text']} {secret}"} if n % 50 else row for n, row in enumerate(questions_of())
    ]
    sheet = Sheet(tmp_path, rows, chat_tokenizer)
    assert secret not in sheet.page + sheet.markdown + sheet.examples
    # Either the contract put them aside, or they were passed over as examples.
    assert sheet.evidence.rows_quarantined > 200 or "passed over" in sheet.examples


def test_a_private_label_is_withheld(tmp_path: Path, chat_tokenizer: Any) -> None:
    rows = [{**row, "label": "ada@example.org" if row["label"] == "x" else "y"} for row in questions_of()]
    sheet = Sheet(tmp_path, rows, chat_tokenizer)
    assert "ada@example" not in sheet.page + sheet.markdown + sheet.examples
    assert "(withheld)" in sheet.page


def test_what_people_say_is_there_and_what_they_do_not_is_asked(tmp_path: Path, chat_tokenizer: Any) -> None:
    sheet = Sheet(tmp_path, questions_of(), chat_tokenizer, purpose="Routing <b>questions</b>.")
    assert "Routing &lt;b&gt;questions&lt;/b&gt;." in sheet.page
    assert "description.limitations" in sheet.page
    assert "description.purpose" not in sheet.page


def test_markup_in_texts_stays_text(tmp_path: Path, chat_tokenizer: Any) -> None:
    rows = [{"text": f"<script>alert({n})</script>", "label": "<i>|" if n % 2 else "`y`"} for n in range(300)]
    sheet = Sheet(tmp_path, rows, chat_tokenizer)
    assert "<script" not in sheet.page + sheet.examples and "&lt;script" in sheet.examples
    assert "<i>|" not in sheet.page + sheet.examples
    assert r"\<i\>\|" in sheet.markdown


def test_the_page_loads_nothing(tmp_path: Path, chat_tokenizer: Any) -> None:
    sheet = Sheet(tmp_path, questions_of(), chat_tokenizer)
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", sheet.page + sheet.examples)


def test_equal_rows_give_equal_sheets(tmp_path: Path, chat_tokenizer: Any) -> None:
    sheets = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sheets.append(Sheet(tmp_path / name, questions_of(), chat_tokenizer))
    digests = [sheet.snapshot.digest() for sheet in sheets]
    assert sheets[0].page == sheets[1].page.replace(digests[1], digests[0])
    assert sheets[0].examples == sheets[1].examples


def test_conversations_have_a_sheet_too(tmp_path: Path, chat_tokenizer: Any) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What is {n}?"},
                {"role": "assistant", "content": f"It is {n}."},
            ]
        }
        for n in range(300)
    ]
    sheet = Sheet(tmp_path, rows, chat_tokenizer)
    assert "Length of messages in train" in sheet.page
    assert "assistant" in sheet.examples
