"""The one real server with its workers of the tests of operating, and a server alone that can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.flows.conftest import write_run as write_run
from tests.flows.operating.conftest import free_port
from tests.flows.operating.conftest import served as served


class LoneServer:
    """A Prefect server without workers, on one port and one database however often it is started."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._database = database or f"sqlite+aiosqlite:///{folder}/prefect.db"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_HOME": str(self.folder),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self._database,
            "PREFECT_UI_ENABLED": "0",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning"]
        application = ["--factory", "prefect.server.api.server:create_app"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *application, *options],
                env=environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 90
        while True:
            try:
                with urlopen(f"{self.url}/health", timeout=5):
                    return
            except (URLError, OSError):
                said = (self.folder / "server.log").read_text(encoding="utf-8")[-2000:]
                assert time.monotonic() < deadline and self._process.poll() is None, said
                time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    def flow_runs(self) -> list[Any]:
        """Oldest first."""
        import httpx

        asked = {"sort": "START_TIME_ASC"}
        return list(httpx.post(f"{self.url}/flow_runs/filter", json=asked, timeout=30).json())


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoneServer]:
    """On SQLite; what is started in the test uses it."""
    folder = tmp_path / "server"
    folder.mkdir()
    started = LoneServer(folder)
    monkeypatch.setenv("PREFECT_API_URL", started.url)
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    started.start()
    try:
        yield started
    finally:
        started.kill()
