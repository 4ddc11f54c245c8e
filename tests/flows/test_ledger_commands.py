"""``lorafirst ledger``: entries, checkpoints that somebody else keeps, and faults by name."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.records.base import digest_json
from data_contracts.records.ledger import EntryKind
from flows.command_line import app
from flows.commands.failing import EXIT_DATA_REJECTED, EXIT_FAULT, EXIT_INPUT
from tasks.evidence.environment import user_name
from tasks.evidence.ledger.book import FILE, open_ledger
from tests.flows.conftest import WriteRun


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LORAFIRST_LEDGER", "LORAFIRST_SIGNING_KEY", "LORAFIRST_KEY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with open_ledger(str(tmp_path / FILE)) as ledger:
        for number in range(3):
            about = digest_json(number)
            ledger.append(EntryKind.DECISION, run_id=f"run-{number}", about=about, actor="gate need")
    return tmp_path


def call(output: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["ledger", *arguments, "--output", str(output)])


def rewrite(output: Path, *statements: str) -> None:
    """As somebody does who owns the file: without its rules."""
    connection = sqlite3.connect(output / FILE)
    for name in ("append_only", "keeps"):
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = ?", [f"ledger_{name}"]
        ).fetchone()
        connection.execute(f"DROP TRIGGER ledger_{name}")
        statements = (*statements, sql)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_entries_are_listed(output: Path) -> None:
    lines = call(output, "list").stdout.splitlines()
    assert len(lines) == 3 and "gate need" in lines[0] and "run-2" in lines[2]
    (entry,) = json.loads(call(output, "list", "--run", "run-1", "--json").stdout)
    assert entry["sequence"] == 2 and entry["about"] == digest_json(1)


def test_a_signed_checkpoint_shows_what_was_cut_off(output: Path) -> None:
    keys = ["keys", "new", "--output", str(output / "keys")]
    assert CliRunner().invoke(app, keys).exit_code == 0
    kept, ring = str(output / "kept.json"), str(output / "keys" / "pipeline.keyring.yaml")
    signed = call(output, "checkpoint", "--key", str(output / "keys" / "pipeline.key"), "--to", kept)
    assert signed.exit_code == 0 and "signed" in signed.stdout
    good = call(output, "check", "--checkpoint", kept, "--keyring", ring, "--json")
    assert good.exit_code == 0, good.output
    assert json.loads(good.stdout) == {
        "entries": 3, "faults": [], "checkpoint": "signed by a key of the keyring",
    }  # fmt: skip
    rewrite(output, "DELETE FROM ledger_entries WHERE sequence = 3")
    assert call(output, "check").exit_code == 0, "the chain alone cannot know"
    cut = call(output, "check", "--checkpoint", kept, "--keyring", ring)
    assert cut.exit_code == EXIT_FAULT
    assert "the checkpoint knows 3 entries, and 2 are there" in cut.stdout


def test_a_checkpoint_of_another_key_or_of_none_is_refused(output: Path) -> None:
    for name in ("pipeline", "other"):
        CliRunner().invoke(app, ["keys", "new", "--name", name, "--output", str(output)])
    kept, ring = str(output / "kept.json"), str(output / "pipeline.keyring.yaml")
    call(output, "checkpoint", "--key", str(output / "other.key"), "--to", kept)
    refused = call(output, "check", "--checkpoint", kept, "--keyring", ring)
    assert refused.exit_code == EXIT_FAULT and "not in the keyring" in refused.output
    assert "nobody checked by whom" in call(output, "check", "--checkpoint", kept).stdout
    assert "unsigned" in call(output, "checkpoint", "--to", kept).stdout
    assert "checkpoint: unsigned" in call(output, "check", "--checkpoint", kept).stdout
    bare = call(output, "check", "--checkpoint", kept, "--keyring", ring)
    assert bare.exit_code == EXIT_INPUT and "an unsigned one" in bare.output
    for content in ("", "{}", '{"payloadType": 1}', '{"payload":"e30=","payloadType":"x","signatures":[]}'):
        Path(kept).write_text(content)
        broken = call(output, "check", "--checkpoint", kept)
        assert broken.exit_code in {EXIT_FAULT, EXIT_INPUT} and "Traceback" not in broken.output
        assert isinstance(broken.exception, SystemExit)


def test_the_key_may_come_from_the_environment(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "hunter2")
    CliRunner().invoke(app, ["keys", "new", "--output", str(output)])
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY", (output / "pipeline.key").read_text())
    made = json.loads(call(output, "checkpoint", "--json").stdout)
    assert made["payloadType"] == "application/vnd.in-toto+json" and len(made["signatures"]) == 1
    monkeypatch.delenv("LORAFIRST_KEY_PASSWORD")
    refused = call(output, "checkpoint")
    assert refused.exit_code == EXIT_INPUT and "none was given" in refused.output


def test_a_changed_entry_is_named(output: Path) -> None:
    rewrite(output, "UPDATE ledger_entries SET actor = 'me' WHERE sequence = 2")
    found = call(output, "check", "--json")
    assert found.exit_code == EXIT_FAULT
    assert [fault["sequence"] for fault in json.loads(found.stdout)["faults"]] == [2]


def test_no_ledger_is_a_clear_error(tmp_path: Path) -> None:
    for command in ("list", "check", "checkpoint"):
        result = call(tmp_path / "none", command)
        assert result.exit_code == EXIT_FAULT and "cannot be opened" in result.output
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("api")
def test_a_run_is_entered(write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path) -> None:
    config = write_run(rows[:12])
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == EXIT_DATA_REJECTED, result.output
    report = json.loads(result.stdout)
    entries = json.loads(call(tmp_path / "runs", "list", "--json").stdout)
    assert [(entry["kind"], entry["actor"]) for entry in entries] == [
        ("attempt", user_name()), ("rejection", "gate contract"), ("outcome", "run"),
    ]  # fmt: skip
    assert {entry["run_id"] for entry in entries} == {report["run_id"]}
