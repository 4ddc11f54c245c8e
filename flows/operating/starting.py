"""``lorafirst up``: starts whatever should run and does not, in the order in which one needs the other."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import InputError, Problem
from flows.operating import processes
from flows.operating.credentials import find_credentials
from flows.operating.database import (
    DATABASE_VARIABLE,
    database_url,
    is_postgresql,
    require_database,
    without_password,
)
from flows.operating.deployments import read_entries, shipped_file
from flows.operating.environment import Installation
from flows.operating.locking import locked
from flows.operating.pools import POOLS
from flows.operating.serving import require_credentials, require_port, start_server
from flows.operating.started import Started
from flows.operating.state import SERVER, Operating, read_state
from flows.operating.workers import start_workers
from tasks.evidence.files import require_writable

DEFAULT_PORT = 4200
DEFAULT_HOST = "127.0.0.1"

Tell = Callable[[str, str], None]
"""Is told what is ready now, and what there is to say of it."""


@dataclass(frozen=True)
class Asked:
    """What the user wants to be up; ``None`` is what is up already, or the default."""

    folder: Path
    state: Path
    host: str | None = None
    port: int | None = None
    database: str | None = None
    deployments: Path | None = None
    """A ``prefect.yaml`` of the user's own, beside the shipped one."""
    runs_at_once: int = 1


@dataclass(frozen=True)
class Up:
    """What is up now."""

    operating: Operating
    anything_started: bool


def start_all(asked: Asked, tell: Tell) -> Up:
    """Starts what is not running yet; where that fails, stops what it has started itself.

    Raises:
        InputError: what the user gave cannot be used, or is not what is up already.
        LorafirstError: something did not start.
    """
    _require_apart(asked)
    with locked(asked.state):
        known = read_state(asked.state)
        before = tuple(each for each in known.processes if processes.is_running(each)) if known else ()
        up_already = known if before else None
        if up_already is not None:
            _require_same(asked, up_already)
        elif known is not None:
            tell("state", "what was written down no longer runs; starting anew")
        files = (shipped_file(), *([asked.deployments] if asked.deployments else []))
        entries = {file: read_entries(file) for file in files}
        require_writable(asked.folder)
        started = Started(_installation(asked, up_already), before)
        if known is not None and not started.runs(SERVER):
            _require_database_said(asked, known)
        with started.or_none_of_it():
            begun = time.monotonic()
            if not started.runs(SERVER):
                require_port(started.installation.host, started.installation.port)
                require_database(started.installation.database)
                start_server(started)
            else:
                require_credentials(started.installation)
            tell(SERVER, f"{started.installation.url}  {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            asyncio.run(
                start_workers(started, entries, always=asked.deployments, runs_at_once=asked.runs_at_once)
            )
            pools = " and ".join(pool.name for pool in POOLS)
            tell("workers", f"of the pools {pools}  {time.monotonic() - begun:.1f} s")
            tell("deployments", ", ".join(each.name for listed in entries.values() for each in listed))
        return Up(started.operating(), started.anything)


def _installation(asked: Asked, known: Operating | None) -> Installation:
    host = asked.host or (known.host if known else DEFAULT_HOST)
    port = asked.port or (known.port if known else DEFAULT_PORT)
    installation = Installation(
        state=asked.state,
        folder=asked.folder,
        host=host,
        port=port,
        url=Operating(host=host, port=port, folder="", database="").url,
        database=_database(asked, known),
        credentials=find_credentials(asked.state),
    )
    installation.work.mkdir(exist_ok=True)
    return installation


def _database(asked: Asked, known: Operating | None) -> str:
    if known is not None and asked.database is None and is_postgresql(known.database):
        # Without its password: written down again, and not connected to.
        return known.database
    return database_url(asked.database, asked.state)


def _require_apart(asked: Asked) -> None:
    if asked.state.is_relative_to(asked.folder):
        raise InputError.single(
            f"--state {asked.state}",
            expected=f"a place outside {asked.folder}, the served folder",
            found="a place inside it, where whoever fills in the form could read the password",
            remedy="serve a folder further down with --folder, or name another --state",
        )


def _require_database_said(asked: Asked, known: Operating) -> None:
    """The password of the server's database is nowhere written down; an empty one must not take its place."""
    if asked.database is None and is_postgresql(known.database):
        raise InputError.single(
            "--database",
            expected=f"{known.database} with its password, where the server kept its records",
            found="nothing, which would be a new SQLite database",
            remedy=f"set {DATABASE_VARIABLE} as it was then, or run `lorafirst down` first to begin anew",
        )


def _require_same(asked: Asked, known: Operating) -> None:
    wanted = {
        "--folder": (str(asked.folder), known.folder),
        "--host": (asked.host or known.host, known.host),
        "--port": (str(asked.port or known.port), str(known.port)),
        "--database": (
            without_password(database_url(asked.database, asked.state)) if asked.database else known.database,
            known.database,
        ),
    }
    problems = [
        Problem(
            where=option,
            expected=f"{has}, with which it is up",
            found=wants,
            remedy="run `lorafirst down` first, or start another beside it with another --state and --port",
        )
        for option, (wants, has) in wanted.items()
        if wants != has
    ]
    if problems:
        raise InputError(problems)
