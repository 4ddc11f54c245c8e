"""What follows once the server answers: pools, a worker for each, and the deployments they are to run."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from flows.operating.deployments import Entry, register
from flows.operating.environment import Installation
from flows.operating.pools import POOLS, create_pools
from flows.operating.silent_runs import watch_for_silent_runs
from flows.operating.started import Started
from flows.operating.state import StartedProcess
from flows.operating.sweeping import have_crashed_runs_taken_up

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

_START_SECONDS = 90.0


@asynccontextmanager
async def connected(installation: Installation) -> "AsyncIterator[PrefectClient]":
    """A client of this very server, whatever the user's profile says."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    known = {PREFECT_API_URL: installation.api, PREFECT_API_AUTH_STRING: installation.credentials}
    with temporary_settings(known):
        async with get_client() as client:
            yield client


async def start_workers(
    started: Started, entries: Mapping[Path, Sequence[Entry]], *, always: Path | None, runs_at_once: int
) -> None:
    """Returns when every worker asks for work and every deployment is registered.

    Args:
        entries: the deployments by file. Those that are there already in this version are left alone, since
            somebody may have changed their schedules in the UI.
        always: the file that is registered anew whatever is there.

    Raises:
        LorafirstError: a worker ended or took too long, or a deployment could not be registered.
    """
    installation = started.installation
    async with connected(installation) as client:
        await create_pools(client, installation.work, runs_at_once)
        await watch_for_silent_runs(client)
        begun, at = time.monotonic(), datetime.now(UTC)
        fresh = {
            pool.name: started.start(
                _role(pool.name), installation.worker_command(pool.name), installation.client_environment()
            )
            for pool in POOLS
            if not started.runs(_role(pool.name))
        }
        for file, listed in entries.items():
            if file == always or not await _all_registered(client, listed):
                await asyncio.to_thread(register, installation, file)
        for pool_name, process in fresh.items():
            while not await _asks_for_work(client, pool_name, at):
                started.require_starting(process, waited=time.monotonic() - begun, most=_START_SECONDS)
                await asyncio.sleep(0.1)
        if fresh:
            await have_crashed_runs_taken_up(client)


def worker_processes(running: Sequence[StartedProcess]) -> tuple[StartedProcess, ...]:
    roles = {_role(pool.name) for pool in POOLS}
    return tuple(process for process in running if process.role in roles)


def _role(pool: str) -> str:
    return f"worker {pool}"


async def _all_registered(client: "PrefectClient", entries: Sequence[Entry]) -> bool:
    from prefect.exceptions import ObjectNotFound

    try:
        found = [await client.read_deployment_by_name(f"{each.flow}/{each.name}") for each in entries]
    except ObjectNotFound:
        return False
    return all(each.version == version("lorafirst") for each in found)


async def _asks_for_work(client: "PrefectClient", pool: str, since: datetime) -> bool:
    workers = await client.read_workers_for_work_pool(pool)
    return any(each.last_heartbeat_time and each.last_heartbeat_time >= since for each in workers)
