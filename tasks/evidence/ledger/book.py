"""A ledger in a database: opened, appended to, read and checked."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, select

from data_contracts.errors import LedgerError
from data_contracts.records.base import Digest, utc_time
from data_contracts.records.ledger import (
    NOTHING_BEFORE,
    ChainFault,
    Checkpoint,
    EntryKind,
    LedgerEntry,
)
from tasks.evidence.ledger.chain import check_chain, checkpoint_of
from tasks.evidence.ledger.connecting import engine_of, transaction, url_of
from tasks.evidence.ledger.schema import ENTRIES, SCHEMA, VERSION, create_tables, missing_rules

FILE = "ledger.sqlite"
LOCATION_VARIABLE = "LORAFIRST_LEDGER"
"""The environment variable that names a ledger outside the output folder; a URL may hold a password."""


def ledger_location(output: Path) -> str:
    """Where the ledger of the runs below ``output`` is: a URL or a file."""
    return os.environ.get(LOCATION_VARIABLE) or str(output / FILE)


def ledger_at_hand(output: Path) -> str | None:
    """``ledger_location``, unless that is a file that is not there: dossiers are handed on without one."""
    location = ledger_location(output)
    return location if os.environ.get(LOCATION_VARIABLE) or Path(location).is_file() else None


Guard = Callable[[tuple[LedgerEntry, ...]], None]
"""Raises unless an entry may follow those of its run, oldest first."""


@dataclass(frozen=True)
class Ledger:
    """An append-only chain of entries. Made by ``open_ledger``."""

    engine: Engine
    where: str
    """Its file or its URL without the password, for messages."""

    def append(
        self,
        kind: EntryKind,
        *,
        run_id: str,
        about: Digest,
        actor: str,
        once: bool = False,
        guard: Guard | None = None,
    ) -> LedgerEntry:
        """The new entry, which is on the disk when this returns. Safe from any number of processes.

        With ``once``, an entry of this kind, run and subject that is there already is returned instead. With
        ``guard``, nothing is appended unless it lets the run's entries pass; nobody else appends meanwhile.

        Raises:
            LedgerError: nothing was appended, or the answer was lost; asking ``once`` again is safe.
            Whatever ``guard`` raises; nothing was appended.
        """
        with transaction(self.engine, self.where, writes=True) as connection:
            if guard is not None:
                guard(tuple(_entries(connection, run_id)))
            if once and (found := _same(connection, kind, run_id, about)):
                return found
            last = connection.execute(select(ENTRIES).order_by(ENTRIES.c.sequence.desc()).limit(1)).first()
            at = utc_time(datetime.now(UTC))
            draft = LedgerEntry(
                sequence=last.sequence + 1 if last else 1,
                previous=last.entry_digest if last else NOTHING_BEFORE,
                kind=kind,
                run_id=run_id,
                about=about,
                actor=actor,
                at=at,
                clock_set_back=last is not None and at < last.at,
                entry_digest=NOTHING_BEFORE,
            )
            entry = draft.model_copy(update={"entry_digest": draft.own_digest()})
            connection.execute(ENTRIES.insert().values(**entry.model_dump(mode="json")))
        return entry

    def entries(self, run_id: str | None = None, *, about: Digest | None = None) -> Iterator[LedgerEntry]:
        """All entries, or those of one run or about one record, oldest first."""
        with transaction(self.engine, self.where, writes=False) as connection:
            yield from _entries(connection, run_id, about)

    def checkpoint(self) -> Checkpoint:
        """What the ledger holds now. Kept elsewhere, it shows every later change of what it covers."""
        query = select(ENTRIES.c.sequence, ENTRIES.c.entry_digest).order_by(ENTRIES.c.sequence)
        with transaction(self.engine, self.where, writes=False) as connection:
            rows = connection.execute(query)
            return checkpoint_of(((row.sequence, row.entry_digest) for row in rows), datetime.now(UTC))

    def check(self, checkpoint: Checkpoint | None = None) -> tuple[int, tuple[ChainFault, ...]]:
        """How many entries there are, and every fault, of the database's own rules too."""
        query = select(ENTRIES).order_by(ENTRIES.c.sequence)
        with transaction(self.engine, self.where, writes=False) as connection:
            rules = tuple(
                ChainFault(sequence=0, what=f"the database's rule {name} is gone")
                for name in missing_rules(connection)
            )
            count, faults = check_chain(connection.execute(query).mappings(), checkpoint)
        return count, rules + faults


@contextmanager
def open_ledger(location: str, *, read_only: bool = False) -> Iterator[Ledger]:
    """The ledger in the file or at the URL ``location``, which is made unless ``read_only``.

    Raises:
        InputError: the location is neither, or the driver is missing.
        LedgerError: it is not there, of a newer version, or cannot be opened.
    """
    url = url_of(location)
    ledger = Ledger(engine_of(url, read_only=read_only), _shown(location))
    try:
        if read_only:
            with transaction(ledger.engine, ledger.where, writes=False) as connection:
                _require_version(connection, ledger.where)
        elif url.get_backend_name() == "sqlite":
            _prepare_file(ledger, Path(str(url.database)))
        else:
            _prepare(ledger)
        yield ledger
    finally:
        ledger.engine.dispose()


def _prepare_file(ledger: Ledger, path: Path) -> None:
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except OSError as error:
        found = error.strerror or type(error).__name__
        remedy = "choose another output folder, or change its permissions"
        raise LedgerError(ledger.where, found=found, remedy=remedy) from error
    # Two processes that switch a new file to WAL at once can fail, whatever the busy timeout.
    try:
        _prepare(ledger)
    finally:
        lock.release()


def _prepare(ledger: Ledger) -> None:
    with transaction(ledger.engine, ledger.where, writes=True) as connection:
        if not inspect(connection).has_table(SCHEMA.name):
            create_tables(connection)
        _require_version(connection, ledger.where)


def _require_version(connection: Connection, where: str) -> None:
    if not inspect(connection).has_table(SCHEMA.name):
        raise LedgerError(where, found="no ledger", remedy="name the file or the database of a ledger")
    version = connection.execute(select(SCHEMA.c.version)).scalar_one_or_none()
    if version != VERSION:
        newer = version is not None and version > VERSION
        raise LedgerError(
            where,
            found=f"schema version {version}, {'newer than' if newer else 'not'} ours, {VERSION}",
            remedy="use the lorafirst that wrote it" if newer else "restore a copy of the ledger",
        )


def _entries(
    connection: Connection, run_id: str | None, about: Digest | None = None
) -> Iterator[LedgerEntry]:
    query = select(ENTRIES).order_by(ENTRIES.c.sequence)
    if run_id is not None:
        query = query.where(ENTRIES.c.run_id == run_id)
    if about is not None:
        query = query.where(ENTRIES.c.about == about)
    for row in connection.execute(query).mappings():
        yield LedgerEntry.as_written(dict(row))


def _same(connection: Connection, kind: EntryKind, run_id: str, about: Digest) -> LedgerEntry | None:
    query = select(ENTRIES).where(
        ENTRIES.c.run_id == run_id, ENTRIES.c.kind == kind.value, ENTRIES.c.about == about
    )
    row = connection.execute(query.order_by(ENTRIES.c.sequence).limit(1)).mappings().first()
    return LedgerEntry.as_written(dict(row)) if row else None


def _shown(location: str) -> str:
    return url_of(location).render_as_string(hide_password=True) if "://" in location else location
