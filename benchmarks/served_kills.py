"""A server of `lorafirst up` under which processes are killed, and runs that it goes on with."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.killing import Kills, Point, written_stages
from benchmarks.own_postgresql import OwnPostgresql
from benchmarks.serving import ENDED, Up, up
from flows.operating.database import DATABASE_VARIABLE
from flows.operating.processes import descendants, record, send, wait_for_end
from flows.operating.silent_runs import NAME
from flows.operating.state import SERVER, StartedProcess, read_state

SILENT_SECONDS = 45
"""One sign of life comes every 30."""
_MOST_SECONDS = 420.0
_GONE_SECONDS = 20.0


class Target(StrEnum):
    """What is killed."""

    RUN = "process of the run"
    WORKER = "worker"
    RUN_AND_WORKER = "process of the run, and worker"
    SERVER = "server"
    DATABASE = "database"

    @property
    def is_deadly(self) -> bool:
        """Whether the run itself dies for certain; without its worker it may."""
        return self in (Target.RUN, Target.RUN_AND_WORKER)


@dataclass(frozen=True)
class Served:
    """A server that is up, and the PostgreSQL that it keeps its data in, if it does."""

    folder: Path
    _up: Up
    _postgresql: OwnPostgresql | None

    def ask(self, settings: dict[str, Any]) -> str:
        """The id of the flow run of `finetune` that is started so."""
        return str(self._up.server.ask("finetune/finetune", {"settings": settings}).id)

    def state_of(self, run: str) -> Any:
        """``None`` while the server does not answer, or not well: its database may just have been killed."""
        from uuid import UUID

        import httpx

        try:
            return self._up.server.client.read_flow_run(UUID(run)).state
        except httpx.HTTPError:
            return None

    def has_ended(self, run: str) -> bool:
        state = self.state_of(run)
        return state is not None and state.type.value in ENDED

    def has_crashed(self, run: str) -> bool:
        state = self.state_of(run)
        return state is not None and bool(state.is_crashed())

    def goes_on_as(self, run: str) -> str | None:
        """The id of the flow run that the server has gone on with instead."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey

        key = FlowRunFilterIdempotencyKey(any_=[f"taken-up:{run}"])
        found = self._up.server.client.read_flow_runs(flow_run_filter=FlowRunFilter(idempotency_key=key))
        return str(found[0].id) if found else None

    def process_of(self, role: str) -> StartedProcess:
        state = read_state(self._up.state)
        assert state is not None
        return next(each for each in state.processes if each.role == role)

    def kill(self, target: Target, run: StartedProcess) -> tuple[StartedProcess, ...]:
        """Kills it, and starts what does not come back by itself; of what it killed what runs still."""
        struck = (run,) if target.is_deadly else ()
        below = descendants(struck)
        if target in (Target.WORKER, Target.RUN_AND_WORKER):
            struck = (self.process_of("worker lorafirst"), *struck)
        if target is Target.SERVER:
            struck = (self.process_of(SERVER),)
        if target is Target.DATABASE:
            assert self._postgresql is not None
            self._postgresql.kill()
            time.sleep(3)
            self._postgresql.start()
        send(struck, signal.SIGKILL)
        left = wait_for_end((*struck, *below), _GONE_SECONDS)
        if target in (Target.WORKER, Target.RUN_AND_WORKER, Target.SERVER):
            self._up.again()
        return left


@contextmanager
def served(folder: Path, state: Path, postgresql: OwnPostgresql | None) -> Iterator[Served]:
    """`lorafirst up` while the block runs."""
    if postgresql is not None:
        # For each `up`, by what names a database to it.
        os.environ[DATABASE_VARIABLE] = postgresql.url
    try:
        with up(folder, state) as started:
            asyncio.run(_find_silent_runs_sooner())
            yield Served(folder, started, postgresql)
    finally:
        os.environ.pop(DATABASE_VARIABLE, None)


def process_of_run(run: str) -> StartedProcess | None:
    """The process that a worker started for the flow run; ``None`` once it has ended."""
    mark = f"PREFECT__FLOW_RUN_ID={run}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and mark in (entry / "environ").read_bytes().split(b"\0")
                and b"prefect.engine" in (entry / "cmdline").read_bytes()
            ):
                return record("run", int(entry.name))
        except OSError:
            continue  # ended in between, or another user's
    return None


def kill_under(served: Served, run: str, output: Path, kills: Sequence[tuple[Point, Target]]) -> Kills:
    """Kills at every point, lets the server go on with the run, and waits for its end.

    Raises:
        AssertionError: it did not end well in the end.
    """
    came, before, since = Kills(), written_stages(output), time.time()
    for point, target in kills:
        while not (reached := _wait(served, run, point, output, since)) and served.has_crashed(run):
            since, run = time.time(), _next(served, run)
        process = process_of_run(run)
        if not reached or process is None:
            came.passed_by += 1
            continue
        left = served.kill(target, process)
        came.orphans += len(left)
        came.done.append((point.stage, target.value))
        if target.is_deadly:
            since = time.time()
            run = _next(served, run)
        now = written_stages(output)
        came.built_twice += sum(now.get(stage) != written for stage, written in before.items())
        before = now
    deadline = time.monotonic() + _MOST_SECONDS
    while not served.has_ended(run) or served.has_crashed(run):
        if served.has_crashed(run):
            run = _next(served, run)
        assert time.monotonic() < deadline, f"has not ended: {served.state_of(run)}"
        time.sleep(0.5)
    state = served.state_of(run)
    assert state.type.value == "COMPLETED", state
    now = written_stages(output)
    came.built_twice += sum(now.get(stage) != written for stage, written in before.items())
    return came


def _next(served: Served, run: str) -> str:
    deadline = time.monotonic() + _MOST_SECONDS
    while (found := served.goes_on_as(run)) is None:
        assert time.monotonic() < deadline, f"nobody goes on with it: {served.state_of(run)}"
        time.sleep(0.5)
    return found


def _wait(served: Served, run: str, point: Point, output: Path, since: float) -> bool:
    """Whether the run came to the point; ``False`` if it ended before."""
    deadline, looked = time.monotonic() + _MOST_SECONDS, time.monotonic()
    while not point.is_reached(output, 0.0 if point.outlives else since):
        assert time.monotonic() < deadline, f"never came to {point}"
        if time.monotonic() - looked > 5:
            looked = time.monotonic()
            if served.has_ended(run):
                return False
        time.sleep(0.01)
    return True


async def _find_silent_runs_sooner() -> None:
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

    async with get_client() as client:
        (found,) = await client.read_automations_by_name(NAME)
        assert isinstance(found.trigger, EventTrigger)
        asked = AutomationCore(
            name=found.name,
            description=found.description,
            trigger=found.trigger.model_copy(update={"within": timedelta(seconds=SILENT_SECONDS)}),
            actions=found.actions,
        )
        await client.update_automation(found.id, asked)
