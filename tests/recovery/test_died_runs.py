"""A run that died is marked, gives its place in the queue free, and goes on by itself."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from flows.operating.processes import descendants, send, wait_for_end
from flows.operating.silent_runs import NAME, UNBEGUN_NAME, UNBEGUN_SECONDS
from flows.operating.state import StartedProcess, read_state
from tasks.decisions.taking_up import count_tag
from tests.flows.conftest import NEVER_FULL
from tests.flows.operating.conftest import Served, form_settings, lorafirst
from tests.recovery.test_cancelling import wait_for_training

pytestmark = pytest.mark.slow

SILENT_SECONDS = 60
"""For the test; the least that two signs of life fit into."""


def test_a_run_goes_on_by_itself_that_died_with_its_worker_and_then_lost_a_training_process(
    served: Served,
) -> None:
    make_patient_for(served, NAME, SILENT_SECONDS)
    long = {"epochs": 100.0, "max_steps": 120, "checkpoint_steps": 10, "curve_points": 1}
    settings = form_settings(
        name="died", policy=NEVER_FULL, training=long, compute={"processes": 2}, output="died"
    )
    run = served.start("finetune/finetune", {"settings": settings})
    wait_for_training(served, run)
    killed = (worker := worker_of(served), *descendants([worker]))
    assert len(killed) >= 2
    send(killed, signal.SIGKILL)
    assert wait_for_end(killed, 10) == ()
    options = ("--folder", str(served.folder), "--state", str(served.state))
    brought = lorafirst("up", *options, environment={"LORAFIRST_AUTH": served.credentials})
    assert brought.returncode == 0, brought.stderr
    listed = lorafirst("runs", "--output", str(served.folder / "died"), "--json")
    assert "Broken off: the same command goes on." in listed.stdout, listed.stdout

    first = taken_up(served, run, times=1, seconds=SILENT_SECONDS + 120)
    assert "no sign of life" in died(served, run)["state"]["message"]
    # The queue lets one run go at a time: the one that died does not stand in its way.
    wait_for_training(served, first)
    begun = stages(served)
    # One of the two that train; the run itself tells of it.
    process, _ = [each for each in descendants([worker_of(served)]) if trains(each)]
    send([process], signal.SIGKILL)
    last = taken_up(served, first, times=2, seconds=120)
    assert "A process of several that train together" in died(served, first)["state"]["message"]
    deadline = time.monotonic() + 400
    while (last := served.ask(f"/flow_runs/{last['id']}"))["state"]["type"] in UNENDED:
        assert time.monotonic() < deadline, last["state"]
        time.sleep(0.5)
    assert last["state"]["type"] == "COMPLETED", last["state"]
    assert len(list((served.folder / "died").glob("died-*"))) == 1
    ended = stages(served)
    assert begun and begun.items() <= ended.items(), "a finished stage was done twice"


def test_a_run_that_a_worker_claimed_and_never_started_is_marked_and_goes_on(served: Served) -> None:
    """As where the worker was killed in between. What goes on is refused, for it names no rows."""
    make_patient_for(served, UNBEGUN_NAME, 15)
    try:
        settings = {**form_settings(name="claimed"), "data": {"source": "absent.jsonl"}}
        found = served.ask("/deployments/name/finetune/finetune")
        later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
        asked = {"parameters": {"settings": settings}, "state": later}
        run = served.ask(f"/deployments/{found['id']}/create_flow_run", asked)
        claimed = {"state": {"type": "PENDING", "name": "Pending"}, "force": True}
        served.ask(f"/flow_runs/{run['id']}/set_state", claimed)
        deadline = time.monotonic() + 90
        while served.ask(f"/flow_runs/{run['id']}")["state"]["type"] == "PENDING":
            assert time.monotonic() < deadline, "it keeps its place in the queue"
            time.sleep(1)
        assert "after a worker claimed the run" in died(served, run)["state"]["message"]
        again = taken_up(served, run, times=1, seconds=120)
        assert again["id"] != run["id"]
    finally:
        make_patient_for(served, UNBEGUN_NAME, UNBEGUN_SECONDS)


UNENDED = ("SCHEDULED", "PENDING", "RUNNING")


def make_patient_for(served: Served, name: str, seconds: int) -> None:
    (automation,) = served.ask("/automations/filter", {"automations": {"name": {"any_": [name]}}})
    changed = {key: automation[key] for key in ("name", "description", "actions", "trigger")}
    changed["trigger"]["within"] = seconds
    served.ask(f"/automations/{automation['id']}", changed, method="PUT")


def worker_of(served: Served) -> StartedProcess:
    state = read_state(served.state)
    assert state is not None
    return next(each for each in state.processes if each.role == "worker lorafirst")


def trains(process: StartedProcess) -> bool:
    """And is not torchrun, which has the module's name among its arguments."""
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    return b"tasks.stages.worker" in command and b"torch.distributed.run" not in command


def died(served: Served, run: dict[str, Any]) -> Any:
    found = served.ask(f"/flow_runs/{run['id']}")
    assert found["state"]["type"] == "CRASHED", found["state"]
    return found


def taken_up(served: Served, run: dict[str, Any], *, times: int, seconds: float) -> Any:
    """The one run that goes on with one that died."""
    asked = {"flow_runs": {"tags": {"all_": [count_tag(times)]}}}
    deadline = time.monotonic() + seconds
    found: list[Any] = []
    while not found:
        assert time.monotonic() < deadline, served.ask(f"/flow_runs/{run['id']}")["state"]
        time.sleep(0.5)
        listed = served.ask("/flow_runs/filter", asked)
        found = [each for each in listed if each["parameters"] == run["parameters"]]
    (one,) = found
    return one


def stages(served: Served) -> dict[str, int]:
    """When each finished stage was written."""
    found = (served.folder / "died").glob(".store/[a-z]*/evidence.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}
