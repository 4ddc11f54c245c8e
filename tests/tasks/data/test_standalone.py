"""A contract and data by themselves: without a tokenizer, and with somebody watching."""

from pathlib import Path
from typing import Any

from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence
from tasks.data.authoring.standalone import read_for
from tasks.data.checking.contract import check_contract, load_contract
from tests.tasks.data.conftest import WriteRows

ABOUT_TOKENS = {"max_tokens", "answer_cut_away", "token_boundary", "supervised_tokens", "prompt_tokens"}


def check(source: Path, folder: Path, tokenizer: Any, **options: Any) -> ContractEvidence:
    read = read_for(DataSettings(source=str(source)), tuple(Task))
    return check_contract(
        read.rows,
        contract=load_contract(None, read.task),
        task=read.task,
        tokenizer=tokenizer,
        max_tokens=64,
        splits=SplitSettings(),
        folder=folder,
        **options,
    )


def test_without_a_tokenizer_the_rules_about_tokens_are_left_out_and_all_others_run(
    write_rows: WriteRows, tmp_path: Path, chat_tokenizer: Any
) -> None:
    source = write_rows("a.jsonl", [{"prompt": f"Say {n}.", "completion": "word " * 100} for n in range(300)])
    plain = {rule.name for rule in check(source, tmp_path / "plain", None).rules}
    full = {rule.name for rule in check(source, tmp_path / "full", chat_tokenizer).rules}
    assert full - plain == ABOUT_TOKENS


def test_whoever_watches_is_told_of_every_row(write_rows: WriteRows, tmp_path: Path) -> None:
    source = write_rows("a.jsonl", [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(300)])
    told: list[tuple[int, int]] = []
    check(source, tmp_path / "a", None, progress=lambda done, total, what: told.append((done, total)))
    assert told[-1] == (300, 300)


def test_the_task_that_was_not_given_is_named(write_rows: WriteRows) -> None:
    source = write_rows("a.jsonl", [{"prompt": "a", "completion": "b"}])
    read = read_for(DataSettings(source=str(source)), tuple(Task))
    assert read.task is Task.INSTRUCTION
    assert "Task: instruction" in read.notes[-1]
    assert read_for(DataSettings(source=str(source)), (Task.INSTRUCTION,)).notes == ()
