"""The processes of the soak's server: found, killed, brought back, and looked at again and again."""

import os
import random
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.growth import MEBIBYTE, Sample, sample, told
from benchmarks.serving import Up
from benchmarks.soak_runs import Strike, Victim
from flows.operating import processes
from flows.operating.silent_runs import SIGN_OF_LIFE_SECONDS
from flows.operating.state import SERVER, StartedProcess, read_state

SECOND_WORKER = "second worker"
_GONE_SECONDS = 30.0
_RUN_VARIABLE = b"PREFECT__FLOW_RUN_ID="


@dataclass
class Struck:
    """One kill that was done."""

    after: int
    victim: Victim
    flow_run: str | None
    """Of a run's own process."""


@dataclass
class Watched:
    """What is up, with a second worker beside it."""

    up: Up
    folder: Path
    scratch: Path
    """Gets the second worker's own folders and log."""
    second: StartedProcess | None = None
    struck: list[Struck] = field(default_factory=list)
    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[int, StartedProcess] = field(default_factory=dict)
    """Runs' own processes: those of a worker that was killed have another parent."""

    def start_second_worker(self) -> None:
        """As docs/operate.md says."""
        work = self.scratch / "second-work"
        work.mkdir(exist_ok=True)
        own = {
            "PREFECT_HOME": str(self.scratch / "second-home"),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(SIGN_OF_LIFE_SECONDS),
            "PYTHONSAFEPATH": "1",
            "LORAFIRST_FOLDER": str(self.folder),
        }
        options = ["--pool", "lorafirst", "--type", "process", "--name", "second"]
        self.second = processes.start(
            SECOND_WORKER,
            [sys.executable, "-m", "prefect", "worker", "start", *options],
            folder=work,
            log=self.scratch / "second-worker.log",
            # PREFECT_API_URL and PREFECT_API_AUTH_STRING among them.
            environment={**os.environ, **own},
        )

    def stop_second_worker(self) -> None:
        assert self.second is not None
        processes.send([self.second], signal.SIGTERM)
        _end([self.second])

    def everything(self) -> tuple[StartedProcess, ...]:
        """Server and workers."""
        state = read_state(self.up.state)
        return (*(state.processes if state else ()), *([self.second] if self.second else []))

    def look(self, after: int) -> None:
        """Notes memory and open files of everything, once so many runs have ended."""
        for process in self.everything():
            found = sample(process, after)
            if found is not None:
                self.samples[process.role, process.pid].append(found)

    def last(self) -> str:
        """What the last looks found, in MiB and open files."""
        return ", ".join(
            f"{role} {found[-1].resident_bytes / MEBIBYTE:.0f} / {found[-1].open_files}"
            for (role, _), found in self.samples.items()
        )

    def grown(self) -> dict[str, object]:
        """Of each role the process that ran longest."""
        longest: dict[str, list[Sample]] = {}
        for (role, _), samples in self.samples.items():
            longest[role] = max(longest.get(role, []), samples, key=len)
        return {role: told(samples) for role, samples in longest.items()}

    def running(self) -> tuple[StartedProcess, ...]:
        """The processes of runs."""
        below = processes.children(each for each in self.everything() if each.role != SERVER)
        self.seen |= {each.pid: each for each in below if _flow_run(each)}
        self.seen = {pid: each for pid, each in self.seen.items() if processes.is_running(each)}
        return tuple(self.seen.values())

    def strike(self, strike: Strike, chance: random.Random) -> bool:
        """Kills, and brings back what no worker would; ``False`` where no such process runs just now."""
        if strike.victim is Victim.RUN:
            runs = self.running()
            if not runs:
                return False
            victim = chance.choice(runs)
        else:
            role = {
                Victim.SERVER: SERVER,
                Victim.FIRST_WORKER: "worker lorafirst",
                Victim.SECOND_WORKER: SECOND_WORKER,
            }[strike.victim]
            self.running()  # which else nobody would know any more
            victim = next(each for each in self.everything() if each.role == role)
        flow_run = _flow_run(victim)
        processes.send([victim], signal.SIGKILL)
        _end([victim])
        self.struck.append(Struck(strike.after, strike.victim, flow_run))
        if strike.victim is Victim.SECOND_WORKER:
            self.start_second_worker()
        elif strike.victim is not Victim.RUN:
            self.up.again()
        return True


def left_over(scratch: Path) -> list[str]:
    """Commands of processes that still work below ``scratch``, or were started for what lies there."""
    found = []
    deadline = time.monotonic() + _GONE_SECONDS
    while time.monotonic() < deadline:
        found = [" ".join(command)[:200] for command in _commands_below(scratch)]
        if not found:
            break
        time.sleep(0.5)
    return found


def _commands_below(scratch: Path) -> list[list[str]]:
    marked = os.fsencode(scratch)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
            works_there = (entry / "cwd").readlink().is_relative_to(scratch)
        except OSError:
            continue
        if works_there or (b"PREFECT_HOME=" + marked) in environment:
            found.append(command)
    return found


def _flow_run(process: StartedProcess) -> str | None:
    """The flow run that a worker started the process for."""
    try:
        content = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    given = [each for each in content if each.startswith(_RUN_VARIABLE)]
    return given[0].removeprefix(_RUN_VARIABLE).decode() if given else None


def _end(asked: list[StartedProcess]) -> None:
    if processes.wait_for_end(asked, _GONE_SECONDS):
        raise RuntimeError(f"{asked[0].role} did not end")
