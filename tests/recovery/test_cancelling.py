"""Cancelled in the UI, a training saves and ends within ten seconds; the same form goes on from there."""

import time
from pathlib import Path
from typing import Any

import pytest

from flows.operating.processes import descendants, is_running
from flows.operating.state import read_state
from tests.flows.conftest import NEVER_FULL
from tests.flows.operating.conftest import Served, form_settings

pytestmark = pytest.mark.slow

STEPS = {"epochs": 50.0, "max_steps": 150, "checkpoint_steps": 140, "curve_points": 1}
"""A training too long to end in between, whose own checkpoints come too late to be the one that is found."""


@pytest.mark.parametrize("processes", [1, 2])
def test_cancelling_saves_and_leaves_no_process(served: Served, processes: int) -> None:
    settings = form_settings(
        name=f"cancelled-{processes}",
        policy=NEVER_FULL,
        training=STEPS,
        compute={"processes": processes},
        output=f"cancelled-{processes}",
    )
    output = served.folder / f"cancelled-{processes}"
    state = read_state(served.state)
    assert state is not None
    run = served.start("finetune/finetune", {"settings": settings})
    wait_for_training(served, run)
    at_work = descendants(state.processes)
    assert len(at_work) >= processes

    asked = time.monotonic()
    cancelling = {"type": "CANCELLING", "name": "Cancelling"}
    served.ask(f"/flow_runs/{run['id']}/set_state", {"state": cancelling})
    while any(is_running(each) for each in at_work):
        assert time.monotonic() - asked < 10, "a process still runs"
        time.sleep(0.05)
    assert saved(output)
    ended = wait_for_end(served, run)
    assert ended["state"]["type"] == "CANCELLED", ended["state"]

    again = served.run("finetune/finetune", {"settings": settings}, seconds=400)
    assert again["state"]["name"] != "Crashed", again["state"]
    assert again["state"]["type"] == "COMPLETED", again["state"]
    (dossier,) = output.glob("cancelled-*")
    assert (dossier / "manifest.json").is_file()
    assert not saved(output)


def wait_for_training(served: Served, run: dict[str, Any]) -> None:
    """Until it tells its progress."""
    progress = {
        "artifacts": {"key": {"like_": "pilot-1-lora-%-progress"}, "flow_run_id": {"any_": [run["id"]]}}
    }
    deadline = time.monotonic() + 180
    while not served.ask("/artifacts/filter", progress):
        found = served.ask(f"/flow_runs/{run['id']}")["state"]
        assert time.monotonic() < deadline and found["type"] in ("SCHEDULED", "PENDING", "RUNNING"), found
        time.sleep(0.2)
    time.sleep(2)


def wait_for_end(served: Served, run: dict[str, Any]) -> Any:
    deadline = time.monotonic() + 30
    while (found := served.ask(f"/flow_runs/{run['id']}"))["state"]["type"] in ("RUNNING", "CANCELLING"):
        assert time.monotonic() < deadline, found["state"]
        time.sleep(0.2)
    return found


def saved(output: Path) -> list[Path]:
    return list(output.glob(".store/.checkpoints/train-lora-*/step-*/manifest.json"))
