"""One real server with its workers for the session, started and stopped by the commands themselves."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from benchmarks.own_postgresql import OwnPostgresql, programs
from tests.flows.conftest import small_settings
from tests.flows.planted import DATA_SECRET, PASSWORD, SIGNING_PASSWORD


@dataclass(frozen=True)
class Served:
    """A server that is up."""

    url: str
    credentials: str
    folder: Path
    state: Path

    def ask(
        self, path: str, body: object = None, *, method: str | None = None, authorised: bool = True
    ) -> Any:
        """What the API answers; as a client of its own, with what CSRF asks for."""
        for _ in range(10):
            try:
                headers = {"Content-Type": "application/json", **self.csrf()} if authorised else {}
                request = Request(f"{self.url}/api{path}", method=method, headers=headers)
                if body is not None:
                    request.data = json.dumps(body).encode()
                with urlopen(request, timeout=30) as answer:
                    content = answer.read()
                    return json.loads(content) if content else None
            except HTTPError as error:
                # As Prefect's own clients: SQLite is sometimes locked where the machine is busy.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            except (TimeoutError, URLError) as error:
                # A server on a machine with more to do than it can answers late.
                if not isinstance(getattr(error, "reason", error), TimeoutError):
                    raise
            time.sleep(1)
        raise AssertionError(f"{path} was unavailable ten times")

    def start(self, deployment: str, parameters: dict[str, Any]) -> Any:
        found = self.ask(f"/deployments/name/{deployment}")
        # With a key, so that what is asked for again after an answer that came late is one run.
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": uuid4().hex}
        return self.ask(f"/deployments/{found['id']}/create_flow_run", asked)

    def run(self, deployment: str, parameters: dict[str, Any], *, seconds: float = 240.0) -> Any:
        """The flow run that was started so, once it has ended."""
        run = self.start(deployment, parameters)
        deadline = time.monotonic() + seconds
        while run["state"]["type"] in ("SCHEDULED", "PENDING", "RUNNING"):
            assert time.monotonic() < deadline, run["state"]
            time.sleep(0.2)
            run = self.ask(f"/flow_runs/{run['id']}")
        return run

    @contextmanager
    def configured(self) -> Iterator[None]:
        """Inside, Prefect's own clients in this process speak to it."""
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        with temporary_settings(
            {PREFECT_API_URL: f"{self.url}/api", PREFECT_API_AUTH_STRING: self.credentials}
        ):
            yield

    def authorisation(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(self.credentials.encode()).decode()}

    def csrf(self) -> dict[str, str]:
        # A client of its own each time: a client's token ends when it is given another.
        client = uuid4().hex
        request = Request(f"{self.url}/api/csrf-token?client={client}", headers=self.authorisation())
        with urlopen(request, timeout=30) as answer:
            token = json.loads(answer.read())["token"]
        return {**self.authorisation(), "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def lorafirst(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "flows.command_line", *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
    )


def fill(folder: Path, model: Path, rows: list[dict[str, str]]) -> None:
    """What ``form_settings`` names."""
    shutil.copytree(model, folder / "minilm")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def served(
    short_minilm: Path, rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that serves a folder with rows and a small model."""
    folder, state = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("state") / "of-server"
    fill(folder, short_minilm, rows)
    port = free_port()
    options = ["--folder", str(folder), "--state", str(state), "--port", str(port)]
    secrets = {
        "LORAFIRST_AUTH": PASSWORD,
        "LORAFIRST_KEY_PASSWORD": SIGNING_PASSWORD,
        "AWS_SECRET_ACCESS_KEY": DATA_SECRET,
    }
    started = lorafirst("up", *options, environment=secrets)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield Served(f"http://127.0.0.1:{port}", PASSWORD, folder, state)
    finally:
        stopped = lorafirst("down", "--state", str(state))
        assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="session")
def whole_postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL of the system's, with its extensions, on a socket in a temporary folder.

    Skipped where none is installed, a failure in CI. (The one in a Python package lacks pg_trgm.)
    """
    if programs() is None:
        if os.environ.get("CI"):
            raise FileNotFoundError("no PostgreSQL of the system's to test with")
        pytest.skip("no PostgreSQL of the system's to test with")
    # A short path: a socket's may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as place:
        postgresql = OwnPostgresql(Path(place))
        try:
            yield postgresql.url.replace("+asyncpg", "")
        finally:
            postgresql.stop()


def form_settings(**changes: Any) -> dict[str, Any]:
    """What somebody fills into the form: paths are relative to the served folder."""
    return small_settings(Path("rows.jsonl"), "./minilm", **changes)
