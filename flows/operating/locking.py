"""One ``up`` or ``down`` at a time for each state folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from data_contracts.errors import InputError

_WAIT_SECONDS = 1.0


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Makes the folder, which others cannot look into, and holds its lock while the block runs.

    Raises:
        InputError: the folder cannot be written to, or another command is at work in it.
    """
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(state / "lock", timeout=_WAIT_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise InputError.single(
            f"--state {state}",
            expected="one `lorafirst up` or `down` at a time",
            found="another one at work",
            remedy="wait until it has ended",
        ) from error
    except OSError as error:
        raise InputError.single(
            f"--state {state}",
            expected="a folder that can be written to",
            found=error.strerror or type(error).__name__,
            remedy="choose another, or change its permissions",
        ) from error
    try:
        yield
    finally:
        lock.release()
