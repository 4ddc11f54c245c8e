"""Background processes that outlive the command, and are only ever stopped if they are still the same ones.

A process is known by its number and the time at which it began, since numbers are used again. Signals go
through a file descriptor of the process, so that the number cannot change hands in between.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.operating.state import StartedProcess

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class _Stat:
    parent: int
    started_ticks: int
    ended: bool


def start(
    role: str, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]
) -> StartedProcess:
    """Starts ``command`` in a session of its own, in ``folder``, with its output at the end of ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return record(role, process.pid)


def is_running(process: StartedProcess) -> bool:
    """Whether this very process still runs: not another with its number, and not one of before a reboot."""
    stat = _stat(process.pid)
    return (
        stat is not None
        and not stat.ended
        and stat.started_ticks == process.started_ticks
        and process.boot == _boot()
    )


def children(processes: Iterable[StartedProcess]) -> tuple[StartedProcess, ...]:
    """What ``processes`` have started themselves and still runs."""
    parents = {process.pid for process in processes if is_running(process)}
    return tuple(
        StartedProcess(role="child", pid=pid, started_ticks=stat.started_ticks, boot=_boot())
        for pid in _numbers()
        if (stat := _stat(pid)) is not None and stat.parent in parents and not stat.ended
    )


def descendants(processes: Iterable[StartedProcess]) -> tuple[StartedProcess, ...]:
    """What runs below ``processes``, at any depth."""
    found: tuple[StartedProcess, ...] = ()
    below = children(processes)
    while below:
        found += below
        below = children(below)
    return found


def working_in(folder: Path, *, variable: str) -> tuple[StartedProcess, ...]:
    """This user's processes whose current folder is ``folder`` and whose environment has ``variable``."""
    return tuple(
        StartedProcess(role="at work", pid=pid, started_ticks=stat.started_ticks, boot=_boot())
        for pid in _numbers()
        if (stat := _stat(pid)) is not None and not stat.ended and _works_in(pid, folder, variable)
    )


def _works_in(pid: int, folder: Path, variable: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return (_PROC / str(pid) / "cwd").readlink() == folder and any(
            each.startswith(f"{variable}=".encode()) for each in environment
        )
    except OSError:
        return False  # of somebody else, or gone


def send(processes: Iterable[StartedProcess], number: signal.Signals) -> None:
    """Sends a signal to each that still runs."""
    for process in processes:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            try:
                if is_running(process):
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def wait_for_end(processes: Iterable[StartedProcess], seconds: float) -> tuple[StartedProcess, ...]:
    """Waits until all have ended, at most so long; returns those that have not."""
    deadline = time.monotonic() + seconds
    left = tuple(process for process in processes if is_running(process))
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = tuple(process for process in left if is_running(process))
    return left


def record(role: str, pid: int) -> StartedProcess:
    """A child of this process that has not been waited for, as what it will be known by."""
    stat = _stat(pid)
    # It has not been waited for, so that it has an entry even if it has ended already.
    assert stat is not None
    return StartedProcess(role=role, pid=pid, started_ticks=stat.started_ticks, boot=_boot())


def _numbers() -> Iterable[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _stat(pid: int) -> _Stat | None:
    try:
        content = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field, the name, is in brackets and may itself hold any; proc(5) counts fields from 1.
    fields = content.rpartition(")")[2].split()
    return _Stat(parent=int(fields[1]), started_ticks=int(fields[19]), ended=fields[0] in "ZX")


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
