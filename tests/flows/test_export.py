"""A dossier as one file: whole, the same every time, and only if it is what its manifest says."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.records.base import digest_file
from flows.command_line import app
from flows.commands.failing import EXIT_FAULT, EXIT_INPUT

pytestmark = pytest.mark.slow


def export(dossier: Path, to: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["export", str(dossier), "--to", str(to), *options])


def exported(dossier: Path, to: Path, *options: str) -> dict[str, Any]:
    result = export(dossier, to, "--json", *options)
    assert result.exit_code == 0, result.output
    made: dict[str, Any] = json.loads(result.stdout)
    assert made["sha256"] == digest_file(to) and made["size_bytes"] == to.stat().st_size
    return made


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def dossier(answered: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(answered, tmp_path / answered.name))


def test_what_is_packed_is_the_dossier_and_verifies(answered: Path, tmp_path: Path) -> None:
    made = exported(answered, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())
        archive.extractall(tmp_path / "out")
    assert files_of(tmp_path / "out" / answered.name) == files_of(answered)
    assert made["files"] == len(files_of(answered)) and made["left_out"] == []
    verified = CliRunner().invoke(app, ["verify", str(tmp_path / "out" / answered.name)])
    assert verified.exit_code == 0, verified.output


def test_the_same_dossier_gives_the_same_bytes(answered: Path, dossier: Path, tmp_path: Path) -> None:
    for path in dossier.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o755 if path.is_dir() else 0o600)
    first, second = exported(answered, tmp_path / "a.zip"), exported(dossier, tmp_path / "b.zip")
    assert first["sha256"] == second["sha256"]


def test_weights_can_be_left_out_and_are_named(answered: Path, tmp_path: Path) -> None:
    made = exported(answered, tmp_path / "a.zip", "--without-weights")
    left = {file["path"] for file in made["left_out"]}
    assert left == {path for path in files_of(answered) if path.endswith(".safetensors")} and left
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {name.partition("/")[2] for name in archive.namelist()} == set(files_of(answered)) - left
        archive.extractall(tmp_path / "out")
    folder = str(tmp_path / "out" / answered.name)
    assert CliRunner().invoke(app, ["verify", folder]).exit_code == EXIT_FAULT
    verified = CliRunner().invoke(app, ["verify", folder, "--without-weights", "--json"])
    assert verified.exit_code == 0
    (found,) = json.loads(verified.stdout)
    assert f"{len(left)} files of weights were left out" in [check["note"] for check in found["checks"]]
    assert "That the weights are those" in found["not_proven"][0]
    (tmp_path / "out" / answered.name / "pilot-1-lora-r8" / "adapter" / "adapter_config.json").unlink()
    assert CliRunner().invoke(app, ["verify", folder, "--without-weights"]).exit_code == EXIT_FAULT
    told = export(answered, tmp_path / "a.zip", "--without-weights").stdout
    assert f"left out {len(left)} file" in told and made["sha256"].removeprefix("sha256:") in told


def test_the_printed_commands_check_it(answered: Path, tmp_path: Path) -> None:
    target = tmp_path / "it's.zip"
    lines = export(answered, target).stdout.splitlines()
    command = next(line for line in lines if line.startswith("check")).removeprefix("check").strip()
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0
    target.write_bytes(target.read_bytes() + b"x")
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "outcome.json").unlink(), "outcome.json is not there"),
        (lambda folder: (folder / "more.txt").write_text("x"), "more.txt was added"),
        (lambda folder: _flip(folder / "snapshot" / "gate.parquet"), "gate.parquet has other content"),
        (lambda folder: _append(folder / "report.html"), "report.html has"),
    ],
)  # fmt: skip
def test_a_damaged_dossier_is_refused_and_nothing_is_written(
    dossier: Path, tmp_path: Path, damage: Any, told: str
) -> None:
    damage(dossier)
    result = export(dossier, tmp_path / "out" / "a.zip")
    assert result.exit_code == EXIT_FAULT and told in result.output and "Traceback" not in result.output
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def test_links_lead_nowhere(dossier: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not the dossier's")
    (dossier / "outcome.json").unlink()
    (dossier / "outcome.json").symlink_to(secret)
    result = export(dossier, tmp_path / "a.zip")
    assert result.exit_code == EXIT_INPUT and "outcome.json" in result.output
    assert not (tmp_path / "a.zip").exists()


def test_what_cannot_be_packed_says_why(dossier: Path, tmp_path: Path) -> None:
    inside = export(dossier, dossier / "a.zip")
    assert inside.exit_code == EXIT_INPUT and "outside the dossier" in inside.output
    nowhere = export(dossier, dossier / "outcome.json" / "a.zip")
    assert nowhere.exit_code == EXIT_INPUT
    (tmp_path / "file").write_text("")
    unwritable = export(dossier, tmp_path / "file" / "a.zip")
    assert unwritable.exit_code == EXIT_INPUT and "a place that can be written to" in unwritable.output
    (dossier / "manifest.json").unlink()
    unended = export(dossier, tmp_path / "a.zip")
    assert unended.exit_code == EXIT_INPUT and "start the run again" in unended.output
