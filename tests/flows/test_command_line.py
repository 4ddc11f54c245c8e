"""The command line: quick to say what it can do, exact about what happened."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.command_line import app


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    "command",
    [
        *("run", "runs", "show", "explain", "verify", "answers", "export", "decisions", "redact", "schema"),
        *("models", "promote", "rollback", "retrain", "drift"),
    ],
)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"lorafirst {command}" in result.output


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['lorafirst', '--help']\n"
        "from flows.command_line import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'prefect', 'great_expectations', 'pandas', 'pydantic', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_schema_describes_every_key() -> None:
    schema = json.loads(invoke("schema").output)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"name", "task", "model", "data", "policy"} <= set(schema["required"])
    assert "anyOf" in schema["$defs"]["DataSettings"]["properties"]["contract"]


def test_no_runs_yet_says_how_to_start_one(tmp_path: Path) -> None:
    assert "lorafirst run CONFIG" in invoke("runs", "--output", str(tmp_path)).output
    for command in ("show", "explain"):
        assert invoke(command, "none", "--output", str(tmp_path)).exit_code == 2


def test_an_explanation_has_one_form_at_a_time(tmp_path: Path) -> None:
    result = invoke("explain", "none", "--markdown", "--json", "-o", str(tmp_path))
    assert result.exit_code == 2
    assert "one of --markdown and --json" in json.loads(result.stdout)["message"]


def test_copies_are_listed_and_those_unused_for_long_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip
    import os
    import time

    from tasks.data.reading.source_files import find_data_files

    monkeypatch.setenv("LORAFIRST_CACHE", str(tmp_path / "cache"))
    for name in ("old", "used"):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(name.encode() * 1000))
    copies = {name: find_data_files(str(tmp_path / f"{name}.jsonl.gz"))[0].path for name in ("old", "used")}
    (copies["old"].parent / ".partial-x").write_bytes(b"left by a killed process")
    for path in copies.values():
        os.utime(path.parent, (time.time() - 10 * 86_400,) * 2)
    find_data_files(str(tmp_path / "used.jsonl.gz"))

    def told(*options: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["cache", "--json", *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert told()["size_bytes"] == 7000 + 24
    assert told("--clean", "--older-than", "7")["copies"][0]["name"] == "old.jsonl"
    assert not copies["old"].parent.exists()
    assert copies["used"].exists()
    assert "1 copy, 0.0 MiB in" in CliRunner().invoke(app, ["cache"]).output
    told("--clean")
    assert not copies["used"].exists()
    assert told()["copies"] == []
