"""A run by schedule on a real server, and what people are told when a run's process is killed."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from flows.operating.processes import children, send, wait_for_end
from flows.operating.state import StartedProcess, read_state
from tests.flows.conftest import NEVER_FULL
from tests.flows.operating.conftest import Served, form_settings
from tests.flows.planted import SECRETS, written
from tests.flows.webhook import BLOCK, Received, subjects, webhook

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Asia/Kathmandu")
"""Five hours and three quarters before UTC, all year."""


@pytest.fixture(scope="module")
def told(served: Served) -> Iterator[Received]:
    """What a webhook has received, whose block lies on the server."""
    taking_up = f"/deployments/{served.ask('/deployments/name/take-up/take-up')['id']}"
    served.ask(taking_up, {"paused": True}, method="PATCH")
    with served.configured(), webhook() as received:
        yield received
    served.ask(taking_up, {"paused": False}, method="PATCH")


@pytest.fixture(scope="module")
def file(served: Served) -> str:
    """The settings file that the deployment names."""
    settings = form_settings(
        name="by-schedule", output="by-schedule", policy=NEVER_FULL, notifications=[BLOCK]
    )
    (served.folder / "nightly.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return "nightly.yaml"


@pytest.fixture(scope="module")
def due(served: Served, told: Received, file: str) -> Iterator[datetime]:
    """When a schedule starts `nightly`; it is made beforehand, so that the wait is short."""
    nightly = served.ask("/deployments/name/nightly/nightly")
    (shipped,) = nightly["schedules"]
    assert not shipped["active"]
    starts = (datetime.now(UTC) + timedelta(seconds=70)).replace(second=0, microsecond=0)
    there = starts.astimezone(ZONE)
    place = f"/deployments/{nightly['id']}"
    cron = {"cron": f"{there.minute} {there.hour} * * *", "timezone": ZONE.key}
    (made,) = served.ask(f"{place}/schedules", [{"active": True, "schedule": cron}])
    # The server looks at once for runs to schedule of what was changed, and at everything each minute.
    served.ask(place, {"tags": nightly["tags"]}, method="PATCH")
    yield starts
    served.ask(f"{place}/schedules/{made['id']}", method="DELETE")


def killed(served: Served, deployment: str, parameters: dict[str, Any]) -> Any:
    """The flow run, whose process was killed as soon as it was at work."""
    run = served.start(deployment, parameters)
    deadline = time.monotonic() + 120
    while served.ask(f"/flow_runs/{run['id']}")["state"]["type"] != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    at_work = processes_of(served, run)
    assert at_work
    send(at_work, signal.SIGKILL)
    assert wait_for_end(at_work, 10) == ()
    deadline = time.monotonic() + 30
    while (found := served.ask(f"/flow_runs/{run['id']}"))["state"]["type"] == "RUNNING":
        assert time.monotonic() < deadline, "nobody has found out"
        time.sleep(0.2)
    assert found["state"]["type"] == "CRASHED", found["state"]
    return found


def processes_of(served: Served, run: Any) -> tuple[StartedProcess, ...]:
    """What a worker has started for this flow run."""
    state = read_state(served.state)
    assert state is not None
    workers = [each for each in state.processes if each.role.startswith("worker")]
    mark = f"PREFECT__FLOW_RUN_ID={run['id']}".encode()
    return tuple(
        each
        for each in children(workers)
        if mark in Path(f"/proc/{each.pid}/environ").read_bytes().split(b"\0")
    )


@pytest.mark.parametrize("deployment", ["finetune", "nightly"])
def test_whoever_the_settings_name_is_told_of_a_run_whose_process_was_killed(
    served: Served, told: Received, file: str, due: datetime, deployment: str
) -> None:
    """By its worker, since nothing else is left of it; whether the settings came from a form or a file."""
    told.clear()
    form = form_settings(name="killed", output="killed", policy=NEVER_FULL, notifications=[BLOCK])
    given = {"finetune": form, "nightly": file}[deployment]
    run = killed(served, f"{deployment}/{deployment}", {"settings": given})
    deadline = time.monotonic() + 60
    while not told and time.monotonic() < deadline:
        time.sleep(0.2)
    assert subjects(told) == [f"{run['name']}: {deployment} broke off"]
    assert "-9" in told[0]["body"] and run["id"] in told[0]["body"]
    # Otherwise it would be taken up in the middle of other tests.
    served.ask(f"/flow_runs/{run['id']}", method="DELETE")


def test_a_schedule_in_another_time_zone_starts_a_run_that_ends_in_its_outcome(
    served: Served, due: datetime
) -> None:
    scheduled = {
        "flow_runs": {"expected_start_time": {"after_": due.isoformat(), "before_": due.isoformat()}},
        "deployments": {"name": {"any_": ["nightly"]}},
    }
    deadline = time.monotonic() + 300
    while True:
        (run,) = served.ask("/flow_runs/filter", scheduled)
        if run["state"]["type"] not in ("SCHEDULED", "PENDING", "RUNNING"):
            break
        assert time.monotonic() < deadline, run["state"]
        time.sleep(0.5)
    assert run["auto_scheduled"]
    assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "PilotInvalid"), run["state"]
    assert [path.parent.name for path in (served.folder / "by-schedule").glob("*/manifest.json")]


def test_no_secret_was_written_anywhere(served: Served, told: Received) -> None:
    """Neither by the runs above nor by who told of them; what the server says stands in its database."""
    logs = served.ask("/logs/filter", {"limit": 200})
    assert logs and list(served.folder.glob("by-schedule/*/report.html"))
    blocks = served.ask("/block_documents/filter", {"include_secrets": False})
    assert [each["name"] for each in blocks if each["block_type"]["slug"] == "custom-webhook"]
    said = json.dumps(
        [logs, blocks, served.ask("/flow_runs/filter", {}), served.ask("/artifacts/filter", {})]
    )
    assert [secret for secret in SECRETS if secret in said] == []
    assert written([served.folder, served.state]) == []
