"""A server of `lorafirst up` for benchmarks: started, asked, and stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PATIENCE_SECONDS = 600.0
_LOST_SECONDS = 60.0

T = TypeVar("T")


def command(*arguments: str, **environment: str) -> str:
    """What `lorafirst` printed; in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.command_line", *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"lorafirst {arguments[0]}: {done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """The API of what `up` started."""

    def __init__(self, url: str) -> None:
        from prefect.client.orchestration import get_client

        self.url = url
        self.client = get_client(sync_client=True)

    def ask(self, deployment: str, parameters: dict[str, Any]) -> Any:
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def ended(self, run_id: Any) -> Any:
        """The flow run, once it has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            run = self.client.read_flow_run(run_id)
            if run.state_type is not None and run.state_type.value in ENDED:
                return run
            time.sleep(0.2)
        raise TimeoutError(f"flow run {run_id} has not ended")

    def stages(self, run_id: Any) -> list[Any]:
        """Its task runs, in the order in which they began."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        found = self.client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])), limit=200
        )
        return sorted((each for each in found if each.start_time), key=lambda each: each.start_time)

    def runs_of(self, deployment: str) -> list[Any]:
        """Every flow run of a deployment, oldest first."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId

        wanted = self.client.read_deployment_by_name(deployment).id
        chosen = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[wanted]))
        found: list[Any] = []
        while page := self.client.read_flow_runs(flow_run_filter=chosen, limit=200, offset=len(found)):
            found += page
        return sorted(found, key=lambda each: each.created)

    def mark_crashed(self, run_id: Any, message: str) -> None:
        from prefect.states import Crashed

        self.client.set_flow_run_state(run_id, Crashed(message=message), force=True)


def patiently(asked: Callable[[], T]) -> T:
    """What the server answers, also where it was lost and is coming back."""
    import httpx

    deadline = time.monotonic() + _LOST_SECONDS
    while True:
        try:
            return asked()
        except (httpx.TransportError, httpx.HTTPStatusError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@dataclass
class Up:
    """What is up, and how long that took; ``down_seconds`` is known once it is down."""

    server: Server
    options: tuple[str, ...]
    state: Path
    up_seconds: float
    down_seconds: float = 0.0

    def again(self) -> None:
        """`lorafirst up` by the same options: what has died comes back."""
        command("up", *self.options)


@contextmanager
def up(folder: Path, state: Path, *options: str) -> Iterator[Up]:
    """`lorafirst up` on a free port while the block runs; clients in this process are told where it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    everything = ("--folder", str(folder), "--state", str(state), "--port", str(port), *options)
    began = time.monotonic()
    command("up", *everything)
    seconds = time.monotonic() - began
    found: Up | None = None
    try:
        os.environ["PREFECT_API_AUTH_STRING"] = (state / "auth").read_text(encoding="utf-8").strip()
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        found = Up(Server(os.environ["PREFECT_API_URL"]), everything, state, seconds)
        yield found
    finally:
        began = time.monotonic()
        command("down", "--state", str(state))
        if found is not None:
            found.down_seconds = time.monotonic() - began


def say(text: str) -> None:
    print(text, flush=True)
