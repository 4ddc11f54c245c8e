"""Prefect's API for one run, where no server is configured.

Prefect starts such an ephemeral API by itself, but only after importing the whole server into the
process that runs the flow. Starting the same application beside the run, before anything else is
imported, takes less than half as long. It listens on a loopback port of the system's choosing, and it
ends with the process that started it, however that one ends.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from data_contracts.errors import LorafirstError

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0
_started: "list[LocalApi]" = []
"""Kept, because the API stops when its end of the pipe is closed."""
_EPHEMERAL = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"} | {
    # They look after schedules, workers and automations, of which one run alone has none, and take processor
    # time from its training.
    f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "0"
    for name in (
        "CANCELLATION_CLEANUP",
        "CLEANUP_RECONCILER",
        "FOREMAN",
        "LATE_RUNS",
        "PAUSE_EXPIRATIONS",
        "REPOSSESSOR",
        "SCHEDULER",
        "TRIGGERS",
    )
}


class LocalApi:
    """The API process, perhaps still starting."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/api"

    def wait(self) -> None:
        """Returns when the API answers.

        Raises:
            LorafirstError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310 - our own loopback
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.05)
        raise LorafirstError(
            "Prefect's local API did not start.\n"
            "  to do: run `prefect server start` to see why, or set PREFECT_API_URL to a running server."
        )


def start_unless_configured() -> LocalApi | None:
    """Starts the API and points Prefect at it; ``None`` where a server is configured already.

    It serves until this process ends, because Prefect still sends logs and events while it does.
    """
    if _server_is_configured():
        return None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "flows.local_api", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_EPHEMERAL},
            # Ctrl-C is for the run, which still tells the API how it ended; the API ends after it.
            start_new_session=True,
        )
    api = LocalApi(process, port)
    os.environ["PREFECT_API_URL"] = api.url
    if "prefect.context" in sys.modules:
        # Imported already, and with it the settings as they were.
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    _started.append(api)
    return api


def _server_is_configured() -> bool:
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    # Prefect reads all of these; it is asked only where one of them could speak of a server, because
    # importing it first costs seconds.
    profile = (home / "profiles.toml").exists() or "PREFECT_PROFILE" in os.environ
    if not profile and not any(
        _mentions_prefect(name) for name in (".env", "prefect.toml", "pyproject.toml")
    ):
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _mentions_prefect(name: str) -> bool:
    try:
        content = Path(name).read_text(encoding="utf-8").lower()
    except (OSError, UnicodeDecodeError):
        return False
    return name == "prefect.toml" or "prefect_api_url" in content or "[tool.prefect" in content


def _serve(descriptor: int) -> None:
    """The API process itself: serves until told to stop, or until its parent is gone."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            "prefect.server.api.server:create_app",
            factory=True,
            fd=descriptor,
            log_level="error",
            lifespan="on",
        )
    )

    def follow_parent() -> None:
        sys.stdin.buffer.read()  # ends when the parent does, which never writes
        server.should_exit = True
        time.sleep(_STOP_SECONDS)
        os._exit(0)

    threading.Thread(target=follow_parent, daemon=True).start()
    server.run()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
