"""What a user gets wrong ends in a message with its place, a non-zero code, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands.failing import EXIT_DATA_REJECTED, EXIT_FAULT, EXIT_INPUT
from tasks.evidence.dossier import Dossier
from tests.conftest import SMOLLM2
from tests.flows.conftest import NEVER_FULL, WriteRun

pytestmark = [pytest.mark.usefixtures("api"), pytest.mark.slow]

Rows = list[dict[str, Any]]


def run(config: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(app, ["run", str(config), *arguments])
    assert "Traceback" not in result.output
    return result


def with_row(rows: Rows, number: int, **changes: Any) -> Rows:
    """``rows`` with row ``number``, counted from 1, changed."""
    return [{**row, **changes} if index == number else row for index, row in enumerate(rows, start=1)]


UNREADABLE: dict[str, tuple[Callable[[Rows], Rows | str], str]] = {
    "empty file": (lambda rows: "", "an empty file"),
    "broken JSON": (
        lambda rows: "".join(json.dumps(row) + "\n" for row in rows[:6]) + '{"text": "cut',
        "rows.jsonl, row 7",
    ),
    "missing column": (
        lambda rows: [{"question": row["text"], "label": row["label"]} for row in rows],
        "data.columns.text",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_data_leaves_no_dossier(write_run: WriteRun, rows: Rows, case: str) -> None:
    make, told = UNREADABLE[case]
    config = write_run(make(rows))
    result = run(config)
    assert result.exit_code == EXIT_INPUT, result.output
    for word in (told, "expected:", "found:", "to do:"):
        assert word in result.output
    assert [path.name for path in (config.parent / "runs").glob("small-*")] == []


REJECTED: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "null text": (lambda rows: with_row(rows, 5, text=None), "rows.jsonl, row 5"),
    "empty text": (lambda rows: with_row(rows, 9, text="   "), "rows.jsonl, row 9"),
    "over-long text": (lambda rows: with_row(rows, 3, text="word " * 10_000), "rows.jsonl, row 3"),
    "one label only": (lambda rows: [{**row, "label": "NUM"} for row in rows], "at least 2 distinct labels"),
    "too few rows": (lambda rows: rows[:12], "at least 30 rows in gate"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_data_that_breaks_its_contract_is_rejected_with_its_rows(
    write_run: WriteRun, rows: Rows, case: str
) -> None:
    make, told = REJECTED[case]
    config = write_run(make(rows))
    result = run(config)
    assert result.exit_code == EXIT_DATA_REJECTED, result.output
    assert "data_rejected" in result.output
    for word in (told, "expected:", "found:", "to do:"):
        assert word in result.output
    (dossier,) = (config.parent / "runs").glob("small-*")
    assert (dossier / "manifest.json").is_file()
    assert [decision.verdict for decision in Dossier(dossier).decisions()] == ["fail"]
    assert not (dossier / "snapshot").exists()


def test_a_label_that_train_never_shows_is_rejected(write_run: WriteRun, rows: Rows) -> None:
    splits = ["train"] * 200 + ["tune"] * 50 + ["gate"] * 150
    given = [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]
    given = with_row(given, 390, label="UNSEEN")
    result = run(write_run(given, data={"columns": {"split": "split"}}))
    assert result.exit_code == EXIT_DATA_REJECTED
    assert "rows.jsonl, row 390" in result.output


def test_the_same_row_in_two_given_splits_is_rejected(write_run: WriteRun, rows: Rows) -> None:
    splits = ["train"] * 200 + ["tune"] * 50 + ["gate"] * 150
    given = [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]
    given[399] = {**given[0], "split": "gate"}
    result = run(write_run(given, data={"columns": {"split": "split"}}))
    assert result.exit_code == EXIT_DATA_REJECTED
    assert "rows.jsonl, row 1 (train)" in result.output and "rows.jsonl, row 400 (gate)" in result.output


CHAT: dict[str, tuple[dict[str, Any], list[dict[str, str]], str]] = {
    "no assistant turn": ({}, [{"role": "user", "content": "Hello?"}], "assistant"),
    "every token masked": (
        {"model": {"source": SMOLLM2, "max_tokens": 48}},
        [{"role": "user", "content": "word " * 200}, {"role": "assistant", "content": "yes"}],
        "supervised",
    ),
}


@pytest.mark.parametrize("case", CHAT)
def test_a_conversation_that_teaches_nothing_is_rejected(write_run: WriteRun, case: str) -> None:
    changes, turns, told = CHAT[case]
    good = [
        [{"role": "user", "content": f"Number {n}?"}, {"role": "assistant", "content": str(n)}]
        for n in range(200)
    ]
    good[6] = turns
    config = write_run(
        [{"messages": turns} for turns in good],
        task="instruction",
        policy={"metric": "exact_match"},
        **{"model": {"source": SMOLLM2, "max_tokens": 128}, **changes},
    )
    result = run(config)
    assert result.exit_code == EXIT_DATA_REJECTED, result.output
    assert "rows.jsonl, row 7" in result.output and told in result.output


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "missing data file": ({"data": {"source": "rowz.jsonl"}}, "rows.jsonl"),
    "unknown model": ({"model": {"source": "org/never-heard-of"}}, "model.source org/never-heard-of"),
    "unknown layer": ({"pilot": {"target_modules": ["q_proj"]}}, "pilot.target_modules"),
    "rows longer than the model": ({"model": {"max_tokens": 600}}, "at most 512"),
    "unknown setting": ({"pilot": {"rnk": 4}}, "did you mean 'rank'?"),
    "unwritable output": ({"output": "/proc/lorafirst"}, "a folder that can be written to"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_cannot_work_say_what_to_change(write_run: WriteRun, rows: Rows, case: str) -> None:
    changes, told = SETTINGS[case]
    config = write_run(rows, **changes)
    result = run(config)
    assert result.exit_code == EXIT_INPUT, result.output
    assert told in result.output and "to do:" in result.output
    assert list(config.parent.glob("runs/small-*")) == []


def test_a_diverging_loss_ends_the_run_at_its_step_and_can_be_gone_on_with(
    write_run: WriteRun, rows: Rows
) -> None:
    # The largest rate that settings allow, on an adapter scaled out of all proportion.
    config = write_run(rows, policy=NEVER_FULL, pilot={"learning_rate": 1.0, "alpha": 10**12, "rank": 1})
    result = run(config)
    assert result.exit_code == EXIT_FAULT, result.output
    assert "Training stopped at step" in result.output and "lower the learning rate" in result.output
    (dossier,) = (config.parent / "runs").glob("small-*")
    assert not (dossier / "manifest.json").exists()
    assert not list(dossier.glob("pilot-*"))


def test_errors_are_json_when_asked_for(write_run: WriteRun, rows: Rows) -> None:
    result = run(write_run(rows, data={"source": "rowz.jsonl"}), "--json")
    assert result.exit_code == EXIT_INPUT
    error = json.loads(result.output)
    assert error["error"] == "InputError"
    assert {"where", "expected", "found", "remedy"} == set(error["problems"][0])
