"""A run that died together with its worker is marked, gives its place in the queue free, and can go on."""

import signal
import time

import pytest

from flows.operating.processes import descendants, send, wait_for_end
from flows.operating.silent_runs import NAME
from flows.operating.state import read_state
from tests.flows.conftest import NEVER_FULL
from tests.flows.operating.conftest import Served, form_settings, lorafirst
from tests.recovery.test_cancelling import wait_for_training

pytestmark = pytest.mark.slow

SILENT_SECONDS = 60
"""For the test; the least that two signs of life fit into."""


def test_a_run_that_died_with_its_worker_is_marked_and_goes_on(served: Served) -> None:
    (automation,) = served.ask("/automations/filter", {"automations": {"name": {"any_": [NAME]}}})
    changed = {key: automation[key] for key in ("name", "description", "actions", "trigger")}
    changed["trigger"]["within"] = SILENT_SECONDS
    served.ask(f"/automations/{automation['id']}", changed, method="PUT")
    long = {"epochs": 100.0, "max_steps": 400, "checkpoint_steps": 20, "curve_points": 1}
    settings = form_settings(name="died", policy=NEVER_FULL, training=long, output="died")
    run = served.start("finetune/finetune", {"settings": settings})
    wait_for_training(served, run)
    state = read_state(served.state)
    assert state is not None
    worker = next(each for each in state.processes if each.role == "worker lorafirst")
    killed = (worker, *descendants([worker]))
    assert len(killed) >= 2
    send(killed, signal.SIGKILL)
    assert wait_for_end(killed, 10) == ()
    options = ("--folder", str(served.folder), "--state", str(served.state))
    brought = lorafirst("up", *options, environment={"LORAFIRST_AUTH": served.credentials})
    assert brought.returncode == 0, brought.stderr

    deadline = time.monotonic() + SILENT_SECONDS + 60
    while (found := served.ask(f"/flow_runs/{run['id']}"))["state"]["type"] == "RUNNING":
        assert time.monotonic() < deadline, "nobody has found out that the run died"
        time.sleep(1)
    assert found["state"]["type"] == "CRASHED", found["state"]
    assert "no sign of life" in found["state"]["message"]
    listed = lorafirst("runs", "--output", str(served.folder / "died"), "--json")
    assert "Broken off: the same command goes on." in listed.stdout, listed.stdout

    # The queue lets one run go at a time: the one that died does not stand in its way.
    again = served.run("finetune/finetune", {"settings": settings}, seconds=400)
    assert again["state"]["type"] == "COMPLETED", again["state"]
    assert len(list((served.folder / "died").glob("died-*"))) == 1
