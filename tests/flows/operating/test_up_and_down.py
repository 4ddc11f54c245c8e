"""`lorafirst up` and `down`, for real."""

import signal
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from flows.operating.processes import descendants, is_running, send, wait_for_end
from flows.operating.state import read_state
from tasks.decisions.taking_up import count_tag
from tests.flows.conftest import NEVER_FULL
from tests.flows.operating.conftest import Served, fill, form_settings, free_port, lorafirst
from tests.flows.planted import DATA_SECRET, DATABASE_SECRET, SECRETS, written

pytestmark = pytest.mark.slow


def test_pools_and_deployments_are_there(served: Served) -> None:
    pools = {pool["name"]: pool for pool in served.ask("/work_pools/filter", {})}
    assert {name: pools[name]["concurrency_limit"] for name in ("lorafirst", "lorafirst-full")} == {
        "lorafirst": None,
        "lorafirst-full": 1,
    }
    assert {pool["type"] for pool in pools.values()} == {"process"}
    queues = {queue["name"]: queue for queue in served.ask("/work_pools/lorafirst/queues/filter", {})}
    assert queues["training"]["concurrency_limit"] == 1 and queues["default"]["concurrency_limit"] is None
    deployed = {each["name"]: each for each in served.ask("/deployments/filter", {})}
    assert deployed["finetune"]["work_queue_name"] == "training"
    assert deployed["finetune"]["enforce_parameter_schema"]


WRONG = {"Authorization": "Basic YWRhOndyb25n"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/flows/filter"), ("POST", "/deployments/filter"), ("GET", "/work_pools/lorafirst"),
     ("GET", "/csrf-token?client=tests"), ("DELETE", "/work_pools/lorafirst")],
)  # fmt: skip
def test_nobody_is_told_anything_without_the_password(served: Served, method: str, path: str) -> None:
    token = {key: value for key, value in served.csrf().items() if key.startswith("Prefect-")}
    for headers in (token, {**token, **WRONG}):
        request = Request(f"{served.url}/api{path}", data=b"{}", method=method, headers=headers)
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=30)
        assert refused.value.code == 401


def test_a_page_elsewhere_cannot_act_for_somebody_who_is_logged_in(served: Served) -> None:
    request = Request(
        f"{served.url}/api/flows/filter", data=b"{}", method="POST", headers=served.authorisation()
    )
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=30)
    assert refused.value.code == 403 and "CSRF" in refused.value.read().decode()


def test_the_password_is_neither_told_nor_written(served: Served) -> None:
    written = b"".join(
        path.read_bytes() for path in (*served.state.glob("logs/*"), served.state / "operating.json")
    )
    assert served.credentials.partition(":")[2].encode() not in written


def test_up_again_says_so_and_brings_back_a_worker_that_died(served: Served) -> None:
    options = ["--folder", str(served.folder), "--state", str(served.state)]
    password = {"LORAFIRST_AUTH": served.credentials}
    before = read_state(served.state)
    assert before is not None
    again = lorafirst("up", *options, environment=password)
    assert again.returncode == 0 and f"up already: {served.url}" in again.stdout, again.stderr
    assert read_state(served.state) == before

    place = f"/deployments/{served.ask('/deployments/name/nightly/nightly')['id']}/schedules"
    own = {"active": True, "schedule": {"cron": "30 3 1 1 *", "timezone": "Europe/Berlin"}}
    (made,) = served.ask(place, [own])
    worker = next(each for each in before.processes if each.role == "worker lorafirst")
    send([worker], signal.SIGKILL)
    assert wait_for_end([worker], 10) == ()
    brought = lorafirst("up", *options, environment=password)
    assert brought.returncode == 0 and "Up after" in brought.stdout, brought.stderr
    after = read_state(served.state)
    assert after is not None and all(is_running(each) for each in after.processes)
    assert {each.role for each in after.processes} == {each.role for each in before.processes}
    kept = {each.pid for each in before.processes} & {each.pid for each in after.processes}
    assert len(kept) == 2 and worker.pid not in kept
    schedules = {each["id"]: each for each in served.ask(place)}
    assert schedules[made["id"]]["active"] and len(schedules) == 2
    served.ask(f"{place}/{made['id']}", method="DELETE")

    other = lorafirst("up", *options, environment={"LORAFIRST_AUTH": "ada:another-password"})
    assert other.returncode == 2 and "that the server was started with" in other.stderr, other.stderr

    elsewhere = lorafirst("up", "--folder", str(served.state.parent / "other"), "--state", str(served.state))
    assert elsewhere.returncode == 2 and "with which it is up" in elsewhere.stderr


def test_a_worker_without_the_package(served: Served, tmp_path: Path) -> None:
    """What stands for it is a flow of a package that is not there."""
    own = tmp_path / "own.yaml"
    own.write_text(
        "pull: []\ndeployments:\n- name: own\n  entrypoint: absent_package.flows:train\n"
        "  work_pool: {name: lorafirst}\n",
        encoding="utf-8",
    )
    before = read_state(served.state)
    assert before is not None
    died = next(each for each in before.processes if each.role == "worker lorafirst-full")
    send([died], signal.SIGKILL)
    assert wait_for_end([died], 10) == ()
    options = ("--folder", str(served.folder), "--state", str(served.state))
    password = {"LORAFIRST_AUTH": served.credentials}
    failed = lorafirst("up", *options, "--deployments", str(own), environment=password)
    assert failed.returncode == 1
    assert "could not be registered" in failed.stderr and "absent_package" in failed.stderr
    assert "to do:" in failed.stderr and "Traceback" not in failed.stderr
    left = read_state(served.state)
    assert left is not None
    # The worker that it had started is gone again; what ran before still does.
    running = {each.pid for each in left.processes if is_running(each)}
    assert running == {each.pid for each in before.processes} - {died.pid}
    assert lorafirst("up", *options, environment=password).returncode == 0


def test_down_has_a_training_save_and_leaves_nothing_behind(
    whole_postgresql: str, short_minilm: Path, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    """On PostgreSQL, and with a password made at random."""
    folder, state, port = tmp_path / "served", tmp_path / "state", free_port()
    folder.mkdir()
    fill(folder, short_minilm, rows)
    options = ["--state", str(state), "--port", str(port), "--folder", str(folder)]
    database = whole_postgresql.replace("ada@", f"ada:{DATABASE_SECRET}@")
    secrets = {"LORAFIRST_DATABASE": database, "AWS_SECRET_ACCESS_KEY": DATA_SECRET}
    up = lorafirst("up", *options, environment=secrets)
    try:
        assert up.returncode == 0, up.stderr
        password = (state / "auth").read_text()
        assert str(state / "auth") in up.stdout and password not in up.stdout + up.stderr
        known = read_state(state)
        assert known is not None and known.database.startswith("postgresql+asyncpg://")
        assert all(is_running(each) for each in known.processes)
        assert not (state / "prefect.db").exists()

        served = Served(f"http://127.0.0.1:{port}", password, folder, state)
        long = {"epochs": 5000.0, "max_steps": 50_000, "curve_points": 1}
        served.start("finetune/finetune", {"settings": form_settings(policy=NEVER_FULL, training=long)})
        wait_for_progress(served, {"key": {"any_": ["pilot-1-lora-r8-progress"]}})
        runs = descendants(known.processes)
    finally:
        down = lorafirst("down", "--state", str(state))
    assert down.returncode == 0 and "worker lorafirst-full" in down.stdout, down.stderr
    assert "killed" not in down.stdout
    assert list(folder.glob("runs/.store/.checkpoints/train-lora-*/step-*/manifest.json"))
    assert runs and not any(is_running(each) for each in (*known.processes, *runs))
    assert read_state(state) is None

    again = lorafirst("up", *options, environment=secrets)
    try:
        assert again.returncode == 0, again.stderr
        asked = {"flow_runs": {"tags": {"all_": [count_tag(1)]}}}
        deadline = time.monotonic() + 120
        while not (taken_up := served.ask("/flow_runs/filter", asked)) and time.monotonic() < deadline:
            time.sleep(1)
        assert len(taken_up) == 1, "the run that was ended goes on, once"
        of_it = {"flow_run_id": {"any_": [taken_up[0]["id"]]}}
        wait_for_progress(served, {"key": {"any_": ["pilot-1-lora-r8-progress"]}, **of_it})
    finally:
        assert lorafirst("down", "--state", str(state)).returncode == 0
    secrets_of_server = (password.partition(":")[2], *SECRETS)
    assert {path for path, _ in written([folder, state], secrets_of_server)} == {str(state / "auth")}
    assert DATABASE_SECRET not in up.stdout + up.stderr + down.stdout + down.stderr


def wait_for_progress(served: Served, artifacts: dict[str, Any]) -> None:
    deadline = time.monotonic() + 120
    while not served.ask("/artifacts/filter", {"artifacts": artifacts}):
        assert time.monotonic() < deadline, "it has not begun to train"
        time.sleep(0.2)
    time.sleep(2)
