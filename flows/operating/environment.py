"""What the background processes find in their environment, and how they are started."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_contracts.served import FOLDER_VARIABLE
from flows.operating.credentials import VARIABLE
from flows.operating.database import DATABASE_VARIABLE
from flows.operating.silent_runs import SIGN_OF_LIFE_SECONDS

_QUERY_SECONDS = "2"
"""How often a worker asks for work; Prefect's 10 would be most of the wait for a small run's first stage."""

_EVENT_ORDERING = "flows.operating.event_ordering"
"""Named and not imported, since it imports Prefect's server."""

_SERVER_ONLY = (VARIABLE, DATABASE_VARIABLE)
"""Secrets of the server's that go to it under other names; no run needs them."""


@dataclass(frozen=True)
class Installation:
    """One server with its workers, as its processes must know it."""

    state: Path
    folder: Path
    host: str
    port: int
    url: str
    database: str
    credentials: str

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    @property
    def work(self) -> Path:
        """An empty folder to run in: Python and Prefect take code and settings from where they run, and what
        users put into the served folder must not become code."""
        return work_folder(self.state)

    def server_environment(self) -> dict[str, str]:
        browsers = os.environ.get("PREFECT_UI_API_URL", self.api)
        return self._environment(
            {
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.database,
                "PREFECT_SERVER_API_AUTH_STRING": self.credentials,
                "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
                "PREFECT_SERVER_API_HOST": self.host,
                "PREFECT_SERVER_API_PORT": str(self.port),
                "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": _EVENT_ORDERING,
                "PREFECT_UI_API_URL": browsers,
                "PREFECT__SERVER_FINAL": "1",
            }
        )

    def client_environment(self) -> dict[str, str]:
        """Of workers, which hand it on to the runs they start."""
        return self._environment(
            {
                "PREFECT_API_AUTH_STRING": self.credentials,
                "PREFECT_WORKER_QUERY_SECONDS": _QUERY_SECONDS,
                "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(SIGN_OF_LIFE_SECONDS),
                FOLDER_VARIABLE: str(self.folder),
            }
        )

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        # A server or profile that the user has set up elsewhere is not the one meant here.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_API_", "PREFECT_SERVER_", "PREFECT_UI_", "PREFECT_PROFILE"))
            and name not in _SERVER_ONLY
        }
        common = {
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # This command silences its own; these processes' lines go into their logs.
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
            # As `python -P`, for whatever these processes start in turn.
            "PYTHONSAFEPATH": "1",
        }
        return {**inherited, **common, **own}

    def server_command(self) -> list[str]:
        # Prefect's own command would put a second process between.
        application = ["--factory", "prefect.server.api.server:create_app", "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", *application, "--host", self.host, "--port", str(self.port)]

    def worker_command(self, pool: str) -> list[str]:
        options = ["--pool", pool, "--type", "process", "--name", f"{pool} on {os.uname().nodename}"]
        return [sys.executable, "-m", "prefect", "worker", "start", *options]


def work_folder(state: Path) -> Path:
    """Where the server and the workers of a state folder run, and the runs of these workers."""
    return state / "work"


def deploy_command(file: Path) -> list[str]:
    """Registers every deployment of a ``prefect.yaml`` on the server that the environment names."""
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    return [*deploy, "--prefect-file", str(file)]


def run_command() -> str:
    """How a worker starts one run."""
    return f"{sys.executable} -m prefect.engine"
