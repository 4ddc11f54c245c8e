"""From drift to a retraining, on a real server: an event, the automation of the deployment, a worker."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.flows.conftest import ANSWERED, OTHERS, call, topics, write_rows

pytestmark = pytest.mark.slow

PREFECT_YAML = Path(__file__).resolve().parents[2] / "deployments" / "prefect.yaml"


def environment(home: Path, url: str | None) -> dict[str, str]:
    """Of a process that knows this server alone, and of the server itself without ``url``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    named = {} if url is None else {"PREFECT_API_URL": url}
    root = str(PREFECT_YAML.parents[1])
    return {**kept, **named, "PREFECT_HOME": str(home), "PYTHONPATH": root, "DO_NOT_TRACK": "1"}


def prefect(*arguments: str, env: dict[str, str], timeout: float = 300) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={**env, "COLUMNS": "200"},
        cwd=PREFECT_YAML.parents[1],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of clients of a whole server: events, automations and scheduler included."""
    home = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env={**environment(home, None), "PREFECT_SERVER_UI_ENABLED": "false"},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(lambda: answers(url), 120)
            env = environment(home, url)
            document = yaml.safe_load(PREFECT_YAML.read_text(encoding="utf-8"))
            for pool in {each["work_pool"]["name"] for each in document["deployments"]}:
                prefect("work-pool", "create", "--type", "process", pool, env=env)
            prefect("deploy", "--all", "--prefect-file", str(PREFECT_YAML), env=env)
            yield env
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def wait_for(found: Any, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} seconds")


def flow_runs(env: dict[str, str], deployment: str) -> list[Any]:
    from prefect.client.orchestration import PrefectClient

    async def read() -> list[Any]:
        async with PrefectClient(env["PREFECT_API_URL"]) as client:
            found = await client.read_deployment_by_name(deployment)
            runs = await client.read_flow_runs()
            return [run for run in runs if run.deployment_id == found.id]

    return asyncio.run(read())


def test_drift_starts_a_retraining_through_the_shipped_automation(
    server: dict[str, str], champion: Path, tiny_llama: Path
) -> None:
    data = write_rows(champion.parent / "now.jsonl", [*ANSWERED, *OTHERS])
    config = champion.parent / "now.yaml"
    config.write_text(yaml.safe_dump(topics(data, tiny_llama, champion)), encoding="utf-8")
    looked = subprocess.run(
        [sys.executable, "-m", "flows.command_line", "drift", str(config), "--json"],
        env=server,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    assert "New rows differ in" in looked.stdout
    (run,) = wait_for(lambda: flow_runs(server, "retrain/on-drift"), 60)
    assert run.parameters["settings"]["name"] == "topics"
    assert run.parameters["settings"]["data"]["source"] == str(data)
    assert run.parameters["occasion"].startswith("Drift was found: ")

    prefect("worker", "start", "--pool", "lorafirst", "--run-once", env=server)
    (run,) = flow_runs(server, "retrain/on-drift")
    assert run.state.name in ("Promoted", "ChampionKept"), (run.state.name, run.state.message)
    versions = call(champion, "models")[1][0]["versions"]
    assert len(versions) == 2
    if run.state.name == "Promoted":
        assert versions[1]["crowned"]["reason"].startswith("Drift was found: ")
