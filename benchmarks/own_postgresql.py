"""A PostgreSQL of a benchmark's own, which can be killed and started again."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

_SECONDS = 60.0


def programs() -> Path | None:
    """Where the system has PostgreSQL's programs; the newest ones."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class OwnPostgresql:
    """One cluster in a folder, listening on a socket in it; a socket's path may have 107 bytes."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError("no PostgreSQL of the system's; Debian's package is `postgresql`")
        self._programs, self._folder = found, folder
        # It refuses to run as root.
        self._owner: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.geteuid() != 0:
            self._owner = {}
        folder.chmod(0o777)
        made = [str(found / "initdb"), "--pgdata", f"{folder}/data", "--username", "ada", "--auth", "trust"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **self._owner)
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://ada@/postgres?host={self._folder}"

    def start(self) -> None:
        """Again, after it was killed; those that it had started let go of its memory a moment later."""
        self._process = self._start()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_SECONDS)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_SECONDS)

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [str(self._programs / "postgres"), "-D", f"{self._folder}/data", "-k", str(self._folder)]
        asked = [str(self._programs / "pg_isready"), "-h", str(self._folder), "-U", "ada", "-d", "postgres"]
        deadline = time.monotonic() + _SECONDS
        while True:
            process = subprocess.Popen(
                [*command, "-c", "listen_addresses="],
                cwd=self._folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **self._owner,
            )
            while process.poll() is None:
                if subprocess.run(asked, check=False, capture_output=True).returncode == 0:
                    return process
                time.sleep(0.1)
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not start")
            time.sleep(0.2)
