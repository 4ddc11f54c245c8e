"""What one ``lorafirst up`` has found running and has started; the state file knows it at once."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_contracts.errors import LorafirstError
from flows.operating import processes
from flows.operating.database import without_password
from flows.operating.environment import Installation
from flows.operating.state import Operating, StartedProcess, write_state

_ABORT_SECONDS = 10.0
_LOG_LINES = 12


class Started:
    """The processes of one installation."""

    def __init__(self, installation: Installation, before: Sequence[StartedProcess]) -> None:
        self.installation = installation
        self._running = list(before)
        self._new: list[StartedProcess] = []

    def runs(self, role: str) -> bool:
        return any(each.role == role for each in self._running)

    @property
    def anything(self) -> bool:
        """Whether something had to be started."""
        return bool(self._new)

    def start(self, role: str, command: Sequence[str], environment: Mapping[str, str]) -> StartedProcess:
        process = processes.start(
            role, command, folder=self.installation.work, log=self._log(role), environment=environment
        )
        self._running.append(process)
        self._new.append(process)
        write_state(self.installation.state, self.operating())
        return process

    def operating(self) -> Operating:
        return Operating(
            host=self.installation.host,
            port=self.installation.port,
            folder=str(self.installation.folder),
            database=without_password(self.installation.database),
            processes=tuple(self._running),
        )

    def require_starting(self, process: StartedProcess, *, waited: float, most: float) -> None:
        """Returns only if it may still become ready.

        Raises:
            LorafirstError: it has ended, or took too long; with the end of its log.
        """
        running = processes.is_running(process)
        if running and waited <= most:
            return
        log = self._log(process.role)
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        what = f"was not ready after {most:g} seconds" if running else "ended while it started"
        raise LorafirstError(
            f"The {process.role} {what}.\n  "
            + "\n  ".join(line for line in said if line.strip())
            + f"\n  to do: see {log}"
        )

    @contextmanager
    def or_none_of_it(self) -> Iterator[None]:
        """Stops what was started here where the block does not get to its end."""
        try:
            yield
        except BaseException:
            processes.send(self._new, signal.SIGTERM)
            processes.send(processes.wait_for_end(self._new, _ABORT_SECONDS), signal.SIGKILL)
            raise

    def _log(self, role: str) -> Path:
        return self.installation.state / "logs" / f"{role.replace(' ', '-')}.log"
