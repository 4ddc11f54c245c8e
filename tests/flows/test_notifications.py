"""What people are told, through a real webhook block of Prefect to a server on loopback."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from data_contracts.errors import InputError
from data_contracts.records.decision import Outcome, RunReport
from data_contracts.served import FOLDER_VARIABLE
from data_contracts.settings_file import load_settings
from flows.approve import approve
from flows.nightly import nightly
from flows.remind import remind
from flows.running import retrain_here, run_here
from tasks.stages.notifying import BLOCKS_VARIABLE, blocks_for, notify, run_notice
from tests.flows.conftest import ANSWERED, call, topics, write_rows
from tests.flows.planted import DATA_SECRET, WEBHOOK_SECRET, written
from tests.flows.webhook import BLOCK, BROKEN, Received, subjects, webhook

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(api: str) -> Iterator[Received]:
    with webhook() as received:
        yield received


@pytest.fixture(autouse=True)
def nothing_yet(told: Received) -> None:
    told.clear()


def test_a_changed_champion_is_told_by_promotion_and_rollback(
    output: Path,
    runs: tuple[Path, ...],
    told: Received,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(BLOCKS_VARIABLE, BLOCK)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", DATA_SECRET)
    first, second, _, weak = (each.name for each in runs)
    call(output, "promote", first)
    call(output, "promote", weak)
    call(output, "promote", second)
    assert subjects(told) == ["topics: the champion changed"] * 2
    assert first in told[0]["body"] and second in told[1]["body"]
    call(output, "rollback", "topics", "--reason", "complaints", "--by", "Ada")
    assert "Ada put version 1 back in the place of version 3: complaints" in told[2]["body"]
    assert (output / ".registry" / "mlflow.db").is_file() and written([output]) == []


def test_rejected_data_are_told_as_the_settings_ask(tmp_path: Path, tiny_llama: Path, told: Received) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [("?", "", "")] * 3)
    config = tmp_path / "run.yaml"
    settings = topics(data, tiny_llama, tmp_path / "runs") | {"notifications": [BLOCK]}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    report = run_here(load_settings(config), quiet=True)
    assert report.outcome is Outcome.DATA_REJECTED
    assert subjects(told) == ["topics: the data was rejected"]
    assert report.run_id in told[0]["body"]
    waiting: RunReport = report.model_copy(update={"outcome": Outcome.AWAITING_APPROVAL})
    notify([BLOCK], run_notice(waiting))
    assert told[1]["subject"] == "topics: approval is needed"
    assert f"lorafirst approve {report.run_id}" in told[1]["body"]


def test_a_fault_is_told_once_however_many_flows_it_passes_through(
    tmp_path: Path, tiny_llama: Path, told: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BLOCKS_VARIABLE, BLOCK)
    data = write_rows(tmp_path / "rows.jsonl", ANSWERED)
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(topics(data, tiny_llama, tmp_path / "runs")), encoding="utf-8")
    settings = load_settings(config)
    data.unlink()
    with pytest.raises(InputError):
        retrain_here(settings, quiet=True)
    assert subjects(told) == ["topics: finetune broke off"]
    told.clear()
    with pytest.raises(InputError):
        nightly(config)
    assert subjects(told) == ["topics: finetune broke off"]
    assert "rows.jsonl" in told[0]["body"]


def test_a_block_that_fails_costs_the_message_and_tells_no_secret(
    output: Path,
    runs: tuple[Path, ...],
    told: Received,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(BLOCKS_VARIABLE, f"custom-webhook/nowhere, {BROKEN}, secret/thing, {BLOCK}")
    code, report = call(output, "promote", runs[0].name)
    assert (code, report["outcome"]) == (0, "promoted")
    assert subjects(told) == ["topics: the champion changed"]
    said = [record.getMessage() for record in caplog.records if record.name.endswith("notifying")]
    assert [line.split(":")[0] for line in said] == [
        f"block {name} told nobody" for name in ("custom-webhook/nowhere", BROKEN, "secret/thing")
    ]
    assert WEBHOOK_SECRET not in caplog.text and "127.0.0.1" not in "".join(said)


def test_an_address_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, tiny_llama: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", ANSWERED)
    config = tmp_path / "run.yaml"
    address = f"https://hooks.invalid/{WEBHOOK_SECRET}"
    settings = topics(data, tiny_llama, tmp_path) | {"notifications": [address]}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_settings(config)
    assert "notifications.0" in str(refused.value) and WEBHOOK_SECRET not in str(refused.value)


def test_blocks_of_settings_and_environment_are_told_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCKS_VARIABLE, " slack-webhook/a , teams/b,")
    assert blocks_for(["teams/b"]) == ("teams/b", "slack-webhook/a")


def test_faults_of_what_a_schedule_or_a_form_starts_are_told(
    tmp_path: Path, told: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BLOCKS_VARIABLE, BLOCK)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "served"))
    away = tmp_path / "away"
    for flow in (lambda: nightly(away), lambda: remind(away), lambda: approve("run-1", output=away)):
        with pytest.raises(InputError):
            flow()
    assert [each.rpartition(": ")[2] for each in subjects(told)] == [
        "nightly broke off",
        "remind broke off",
        "approve broke off",
    ]
