"""A run that was killed goes on after its last finished stage, with the same command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import WriteRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def start(config: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "flows.command_line", "run", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ),  # the session's API
    )


def test_a_killed_run_goes_on_and_an_ended_one_does_no_work_again(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    config = write_run(rows, policy={"target": 0.3}, training={"max_steps": 400})
    store = tmp_path / "runs" / ".store"
    first = start(config)
    deadline = time.monotonic() + 240
    # Killed inside training: its partial folder is there, and a curve point or two have been taken.
    while not list(store.glob(".train-lora-*.partial")):
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.1)
    time.sleep(3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (dossier,) = (tmp_path / "runs").glob("small-*")
    assert not (dossier / "manifest.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in store.glob("[a-z]*/evidence.json")}
    assert {path.parent.name.rpartition("-")[0] for path in finished} == {
        "contract", "snapshot", "baseline", "score-baseline",
    }  # fmt: skip

    second, _ = start(config).communicate(timeout=400)
    assert "goes on after an interruption" in second, second
    assert [path.name for path in (tmp_path / "runs").glob("small-*")] == [dossier.name]
    assert (dossier / "manifest.json").is_file()
    assert not list(store.glob(".*.partial"))
    assert {path: path.stat().st_mtime_ns for path in finished} == finished

    third, _ = start(config).communicate(timeout=400)
    lines = [line for line in third.splitlines() if line.startswith("✓")]
    worked = [line for line in lines if not line.endswith("reused") and "base model" not in line]
    assert lines and worked == [], third
    new = [path for path in (tmp_path / "runs").glob("small-*") if path != dossier]
    assert len(new) == 1
    old_report, new_report = (
        json.loads((folder / "outcome.json").read_bytes()) for folder in (dossier, new[0])
    )
    assert new_report["outcome"] == old_report["outcome"]


def test_the_local_api_ends_with_the_run_that_started_it(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    script = (
        "import os, sys, time\n"
        "os.environ.pop('PREFECT_API_URL', None)\n"
        "from flows.local_api import start_unless_configured\n"
        "api = start_unless_configured(); api.wait()\n"
        "print(api._process.pid, flush=True); time.sleep(600)\n"
    )
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        # A zombie has no command line left.
        if not Path(f"/proc/{child}/cmdline").read_bytes():
            break
        time.sleep(0.2)
    else:
        assert not Path(f"/proc/{child}/cmdline").exists()
