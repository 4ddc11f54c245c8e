"""``lorafirst down``: stops what ``lorafirst up`` started and nothing else, the server last."""

import signal
from dataclasses import dataclass
from pathlib import Path

from flows.operating import processes
from flows.operating.environment import work_folder
from flows.operating.locking import locked
from flows.operating.state import SERVER, StartedProcess, forget_state, read_state
from flows.operating.workers import worker_processes
from flows.stopping import FLOW_RUN_VARIABLE

_RUN_SECONDS = 120.0
"""For a training to write its checkpoint."""
_STOP_SECONDS = 60.0
"""For a worker on a machine that is busy."""
_CLOSE_SECONDS = 15.0
"""For the server to close its connections, and as long again once it is told not to wait for them."""


@dataclass(frozen=True)
class Down:
    """What has been stopped."""

    runs: int
    """Runs that were at work."""
    processes: tuple[StartedProcess, ...]
    killed: tuple[StartedProcess, ...]
    """Of all of them, those that did not end when they were asked to."""


def stop_all(state: Path) -> Down | None:
    """Asks runs to save and end, then workers, then the server; ``None`` if nothing was up.

    Raises:
        InputError: the state folder cannot be used.
    """
    with locked(state):
        known = read_state(state)
        if known is None:
            return None
        running = tuple(each for each in known.processes if processes.is_running(each))
        workers = worker_processes(running)
        # A worker that is told to end kills its runs; one that stands still cannot take another meanwhile.
        processes.send(workers, signal.SIGSTOP)
        runs, below = processes.children(workers), processes.descendants(workers)
        orphans = _without_a_worker(state, below)
        runs, below = (*runs, *orphans), (*below, *orphans, *processes.descendants(orphans))
        # Not to what runs below them: that is asked by its parent, and a second signal would break it off.
        processes.send(runs, signal.SIGTERM)
        killed = _end(below, _RUN_SECONDS)
        processes.send(workers, signal.SIGTERM)
        processes.send(workers, signal.SIGCONT)
        killed += _end(workers, _STOP_SECONDS)
        server = tuple(each for each in running if each.role == SERVER)
        processes.send(server, signal.SIGTERM)
        # Nobody needs it any more, and sometimes it waits for a connection that nobody closes; told a second
        # time, uvicorn does not.
        processes.send(processes.wait_for_end(server, _CLOSE_SECONDS), signal.SIGINT)
        killed += _end(server, _CLOSE_SECONDS)
        forget_state(state)
        return Down(runs=len(runs), processes=running, killed=killed)


def _without_a_worker(state: Path, below: tuple[StartedProcess, ...]) -> tuple[StartedProcess, ...]:
    """Runs that are at work although their worker died; what they have started themselves is not told."""
    found = processes.working_in(work_folder(state), variable=FLOW_RUN_VARIABLE)
    known = {each.pid for each in (*below, *processes.descendants(found))}
    return tuple(each for each in found if each.pid not in known)


def _end(asked: tuple[StartedProcess, ...], seconds: float) -> tuple[StartedProcess, ...]:
    left = processes.wait_for_end(asked, seconds)
    processes.send(left, signal.SIGKILL)
    return left
