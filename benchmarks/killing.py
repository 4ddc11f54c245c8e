"""Kills a run again and again, each time a stage further, and goes on with it by the same command."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from flows.operating.processes import descendants, record, send, wait_for_end
from flows.operating.state import StartedProcess

_MOST_SECONDS = 900.0
_GONE_SECONDS = 20.0


class Victim(StrEnum):
    """What is killed."""

    FLOW = "flow process"
    TRAINING = "training process"
    API = "server"


@dataclass(frozen=True)
class Point:
    """A place in a run: it is reached once so many files match the pattern below the output folder."""

    stage: str
    pattern: str
    count: int = 1
    victim: Victim = Victim.FLOW

    def is_reached(self, output: Path, since: float = 0.0) -> bool:
        """Counts what was written after ``since``, in seconds of the epoch."""
        found = 0
        for path in output.glob(self.pattern):
            try:
                found += path.stat().st_mtime > since
            except OSError:
                continue  # taken away in between
        return found >= self.count

    @property
    def outlives(self) -> bool:
        """Whether what marks the place stays when the run is started again."""
        return self.pattern.startswith(".store/[")


POINTS = (
    Point("contract", "recovery-*/request.yaml"),
    Point("baseline", ".store/[a-z]*/evidence.json", 2),
    Point("scoring of the base", ".store/[a-z]*/evidence.json", 4),
    Point("pilot training", ".store/.checkpoints/train-lora-*/step-*"),
    Point("scoring of a pilot", ".store/[t]rain-lora-*/evidence.json"),
    Point("pilot training", ".store/[t]rain-lora-*/evidence.json", 2),
    Point("scoring of a pilot", ".store/[t]rain-lora-*/evidence.json", 3),
    Point("escalation and permit", "recovery-*/permit.json"),
    Point("full training", ".store/.checkpoints/train-full-*/step-*"),
    Point("scoring of the full model", ".store/[t]rain-full-*/evidence.json"),
    Point("end", "recovery-*/outcome.json"),
)
"""In the order in which a run comes to them."""


@dataclass
class Kills:
    """What came of the kills of one run."""

    done: list[tuple[str, str]] = field(default_factory=list)
    """Stage and victim of each."""
    passed_by: int = 0
    """Places that the run had left behind before it could be killed there."""
    orphans: int = 0
    """Processes that still ran when they should have ended."""
    built_twice: int = 0
    """Finished stages that a later attempt wrote anew."""
    unclear: list[str] = field(default_factory=list)
    """Ends after a kill of another process than the run's own that told no reason."""


@dataclass(frozen=True)
class Command:
    """``lorafirst run`` with one settings file."""

    config: Path
    output: Path
    home: Path

    def start(self) -> "subprocess.Popen[bytes]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        with (self.home / "said.txt").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "flows.command_line", "run", str(self.config), "--json"],
                env={**kept, "PREFECT_HOME": str(self.home), "OMP_WAIT_POLICY": "PASSIVE"},
                stdout=said,
                stderr=said,
            )

    def said(self) -> str:
        return (self.home / "said.txt").read_text(encoding="utf-8", errors="replace")

    def stages(self) -> dict[str, int]:
        return written_stages(self.output)


def written_stages(output: Path) -> dict[str, int]:
    """When each finished stage was written, in nanoseconds of the epoch."""
    found = output.glob(".store/[a-z]*/evidence.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def kill_on_the_way(command: Command, points: Sequence[Point], chance: random.Random) -> Kills:
    """Kills a run at every point, starts it again each time, and lets it end at last.

    Raises:
        AssertionError: it did not end well in the end.
    """
    kills = Kills()
    before = command.stages()
    for point in points:
        if point.outlives and point.is_reached(command.output):
            kills.passed_by += 1
            continue
        began = time.time()
        process = command.start()
        if not _wait(process, point, command.output, began):
            kills.passed_by += 1
            break
        time.sleep(chance.uniform(0.0, 0.1))
        run = record("run", process.pid)
        below = descendants([run])
        struck = _of_kind(point.victim, below)
        send([struck or run], signal.SIGKILL)
        kills.done.append((point.stage, (point.victim if struck else Victim.FLOW).value))
        code = process.wait(_MOST_SECONDS)
        if struck and (code not in (0, 1) or "Traceback" in command.said()):
            kills.unclear.append(command.said()[-500:])
        kills.orphans += len(wait_for_end(below, _GONE_SECONDS))
        now = command.stages()
        kills.built_twice += sum(now.get(stage) != written for stage, written in before.items())
        before = now
    last = command.start()
    assert last.wait(_MOST_SECONDS) == 0, command.said()
    now = command.stages()
    kills.built_twice += sum(now.get(stage) != written for stage, written in before.items())
    return kills


def _wait(process: "subprocess.Popen[bytes]", point: Point, output: Path, began: float) -> bool:
    """Whether the run came to the point; ``False`` if it ended before."""
    deadline = time.monotonic() + _MOST_SECONDS
    while process.poll() is None:
        if point.is_reached(output, 0.0 if point.outlives else began):
            return True
        assert time.monotonic() < deadline, f"never came to {point}"
        time.sleep(0.01)
    return False


def _of_kind(victim: Victim, below: Sequence[StartedProcess]) -> StartedProcess | None:
    """The youngest process of that kind; ``None`` for the run itself, or where there is none just then."""
    module = {Victim.TRAINING: "tasks.stages.worker", Victim.API: "flows.local_api"}.get(victim)
    return next((each for each in reversed(below) if module in _arguments(each)), None)


def _arguments(process: StartedProcess) -> list[str]:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return []
