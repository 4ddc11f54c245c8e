"""The server dies in the middle of a run: the run rides it out, or ends clearly, and no training is lost."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import NEVER_FULL, WriteRun
from tests.forked import Forked, lorafirst
from tests.recovery.conftest import LoneServer

pytestmark = pytest.mark.slow

Rows = list[dict[str, str]]
LOCKED_SECONDS = 20
TRAINING = {"epochs": 8.0, "max_steps": 60, "checkpoint_steps": 10, "curve_points": 2}


def in_training(config: Path, output: Path) -> Forked:
    """A run that has a checkpoint."""
    run = lorafirst("run", str(config))
    deadline = time.monotonic() + 240
    while not list(output.glob(".store/.checkpoints/train-lora-*/step-*")):
        assert run.poll() is None and time.monotonic() < deadline, run.said(1)
        time.sleep(0.05)
    return run


def killed_in_training(config: Path, output: Path, server: LoneServer) -> Forked:
    run = in_training(config, output)
    server.kill()
    return run


def test_a_database_that_somebody_locks_for_a_while_costs_the_run_nothing(
    server: LoneServer, write_run: WriteRun, rows: Rows, tmp_path: Path
) -> None:
    """Such as a backup: the server answers nobody who has something to write before it is let go."""
    config = write_run(rows, policy=NEVER_FULL, training=TRAINING)
    run = in_training(config, tmp_path / "runs")
    with closing(sqlite3.connect(server.folder / "prefect.db", isolation_level=None)) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/flows/", json={"name": "while-locked"}, timeout=LOCKED_SECONDS)
        locking.execute("ROLLBACK")
    assert run.poll() is None, "it has ended, and nothing was locked for it"
    said = run.said(240)
    assert run.poll() == 0, said
    assert "Traceback" not in said
    (flow_run,) = server.flow_runs()
    assert flow_run["state"]["type"] == "COMPLETED", flow_run["state"]


def test_a_server_that_comes_back_is_told_how_the_run_ended(
    server: LoneServer, write_run: WriteRun, rows: Rows, tmp_path: Path
) -> None:
    config = write_run(rows, policy=NEVER_FULL, training=TRAINING)
    run = killed_in_training(config, tmp_path / "runs", server)
    time.sleep(3)
    server.start()
    said = run.said(240)
    assert run.poll() == 0, said
    assert "Traceback" not in said
    (flow_run,) = server.flow_runs()
    assert flow_run["state"]["type"] == "COMPLETED", flow_run["state"]


def test_without_a_server_it_ends_with_what_to_do_and_the_same_command_goes_on(
    server: LoneServer, write_run: WriteRun, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "2")  # six seconds each time, not half a minute
    config = write_run(rows, policy=NEVER_FULL, training=TRAINING)
    run = killed_in_training(config, tmp_path / "runs", server)
    lost_at = time.monotonic()
    said = run.said(300)
    assert run.poll() == 1, said
    assert time.monotonic() - lost_at < 120, "it waits to tell a server that is gone of every event"
    assert "prefect._internal" not in said and "Error logging to API" not in said, said
    assert "no longer answers" in said and "the same command" in said, said
    assert "Traceback" not in said, said
    stages = (tmp_path / "runs").glob(".store/train-lora-*/evidence.json")
    trained = {path: path.stat().st_mtime_ns for path in stages}
    assert trained

    server.start()
    again = lorafirst("run", str(config))
    said = again.said(240)
    assert again.poll() == 0, said
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert server.flow_runs()[-1]["state"]["type"] == "COMPLETED"
