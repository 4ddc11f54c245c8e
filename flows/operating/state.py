"""What ``lorafirst up`` started, written down so that ``lorafirst down`` stops exactly that."""

import os
from pathlib import Path

from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.records.base import Record
from tasks.evidence.files import write_atomically

SERVER = "server"
_FILE = "operating.json"


class StartedProcess(Record):
    """One background process."""

    role: str
    """``server``, or ``worker`` and the name of its pool."""
    pid: int
    started_ticks: int
    """When it began, in clock ticks after boot: whoever has the number later began at another time."""
    boot: str
    """The id of the boot that the ticks count from."""


class Operating(Record):
    """Everything that was started together."""

    host: str
    """The address that the server listens on."""
    port: int
    """Of the server."""
    folder: str
    """What settings from the form may name lies below it."""
    database: str
    """Where the server keeps its records; of a URL everything but the password."""
    processes: tuple[StartedProcess, ...] = ()
    """In the order in which they were started."""

    @property
    def url(self) -> str:
        """Of the UI; the API lies below it, at ``/api``."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def default_state() -> Path:
    """``lorafirst`` in the user's folder for the state of programs."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lorafirst"


def read_state(folder: Path) -> Operating | None:
    """What was started with this state folder; ``None`` if nothing was, or it was stopped.

    Raises:
        InputError: the file cannot be read.
    """
    path = folder / _FILE
    try:
        return Operating.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError.single(
            str(path),
            expected="what `lorafirst up` wrote down",
            found=str(error).partition("\n")[0],
            remedy="end the processes it started by hand, if there are any, and remove the file",
        ) from error


def write_state(folder: Path, operating: Operating) -> None:
    write_atomically(folder / _FILE, operating.model_dump_json(indent=2).encode())


def forget_state(folder: Path) -> None:
    (folder / _FILE).unlink(missing_ok=True)
