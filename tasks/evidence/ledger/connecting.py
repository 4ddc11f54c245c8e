"""From a file or a URL to an engine of SQLAlchemy, with transactions that one writer at a time holds."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from data_contracts.errors import InputError, LedgerError

BUSY_SECONDS = 60.0
"""How long a writer waits for the others before it gives up."""
_ADVISORY_LOCK = 0x6C6F7261  # "lora"; any number that all writers of one database share


def url_of(location: str) -> URL:
    """The URL of a ledger in a file or in PostgreSQL.

    Raises:
        InputError: it is the URL of something else, or no URL.
    """
    if "://" not in location:
        return URL.create("sqlite", database=str(Path(location).resolve()))
    try:
        url = make_url(location)
    except ArgumentError:
        url = URL.create("unreadable")
    if url.get_backend_name() != "postgresql":
        raise InputError.single(
            "ledger",
            expected="a file, or postgresql://USER@HOST/DATABASE",
            found=f"a URL of {url.get_backend_name()!r}",
            remedy="name a file, or a PostgreSQL database",
        )
    return url.set(drivername="postgresql+psycopg")


def engine_of(url: URL, *, read_only: bool) -> Engine:
    """An engine that keeps one connection open until it is disposed of, so that appends need not open one."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(Path(str(url.database)), read_only=read_only)
    try:
        return create_engine(url, poolclass=QueuePool, pool_size=1, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise InputError.single(
            "ledger",
            expected="psycopg, the driver of PostgreSQL",
            found="it is not installed",
            remedy="pip install 'lorafirst[postgres]'",
        ) from error


def _sqlite(path: Path, *, read_only: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        if not read_only:
            connection = _connect(path, "rwc")
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
            # An entry that was acted upon must outlive a power cut, which WAL's NORMAL does not promise.
            connection.execute("PRAGMA synchronous=FULL")
            return connection
        try:
            connection = _connect(path, "ro")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            # In a folder that cannot be written to, WAL's shared memory can't be made; where there is no
            # log either, nobody is writing.
            if not path.is_file() or path.with_name(path.name + "-wal").exists():
                raise
            connection = _connect(path, "ro&immutable=1")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=1)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("ledger_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Without an isolation level Python's module begins no transaction of its own.
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def transaction(engine: Engine, where: str, *, writes: bool) -> Iterator[Connection]:
    """A transaction; one that writes is alone from its begin, in both databases.

    Raises:
        LedgerError: the database does not let us.
    """
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(ledger_writes=writes)
            with connection.begin():
                if writes and engine.dialect.name == "postgresql":
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
                yield connection
    except (DBAPIError, sqlite3.Error) as error:
        raise _explained(where, getattr(error, "orig", error)) from error


_SQLITE_ERRORS = {
    "SQLITE_BUSY": (
        f"locked by another process for more than {BUSY_SECONDS:.0f} seconds",
        "find who holds it, and start the run again; it goes on from here",
    ),
    "SQLITE_READONLY": ("it cannot be written to", "change its permissions, or choose another output"),
    "SQLITE_FULL": ("the disk is full", "make space, and start the run again; it goes on from here"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "check that the folder is there and can be written to"),
    "SQLITE_IOERR": ("the disk failed to read or write it", "check the disk, and make space on it"),
    "SQLITE_NOTADB": ("no SQLite database", "name the ledger's file"),
    "SQLITE_CORRUPT": ("a damaged SQLite database", "restore a copy, and check it against a checkpoint"),
}


def _explained(where: str, error: Any) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "")
    for known, (found, remedy) in _SQLITE_ERRORS.items():
        if name.startswith(known):
            return LedgerError(where, found=f"{found} ({error})", remedy=remedy)
    remedy = "see what the database says, and start the run again; it goes on from here"
    return LedgerError(where, found=str(error).strip() or type(error).__name__, remedy=remedy)
