"""One at a time: who changes a model's aliases, and who trains it anew.

The locks are the system's own on open files: however a process ends, its locks end with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from data_contracts.errors import InputError
from tasks.registry.place import FOLDER

_LOCKS = "locks"
_PATIENCE_SECONDS = 120.0


@contextmanager
def changing(output: Path, model: str) -> Iterator[None]:
    """Keeps others on this machine from changing the aliases of ``model``; held for moments only."""
    with _lock(output, f"{model}.aliases", _PATIENCE_SECONDS, "no other promotion or rollback at work"):
        yield


@contextmanager
def retraining(output: Path, model: str) -> Iterator[None]:
    """Keeps others from retraining ``model`` meanwhile.

    Raises:
        InputError: somebody does; nothing is waited for.
    """
    with _lock(output, f"{model}.retraining", 0.0, "no other retraining of this model at work"):
        yield


@contextmanager
def _lock(output: Path, name: str, patience: float, expected: str) -> Iterator[None]:
    folder = output / FOLDER / _LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", timeout=patience)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError.single(
            f"model {name.rpartition('.')[0]} in {output}",
            expected=expected,
            found="one that is",
            remedy="let it end, and start this again",
        ) from error
    try:
        yield
    finally:
        lock.release()
