"""Ledgers in real databases: many writers, killed writers, refused edits, files that cannot be used."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import InputError, LedgerError
from data_contracts.records.base import digest_json
from data_contracts.records.ledger import EntryKind
from tasks.evidence.ledger import book, connecting
from tasks.evidence.ledger.book import Ledger, open_ledger

ROOT = Path(__file__).parents[4]
ABOUT = digest_json("a decision")
REFUSED = pytest.raises(DBAPIError, match=r"append-only|does not follow")


def append(ledger: Ledger, run_id: str = "run", *, once: bool = False) -> int:
    kind = EntryKind.DECISION
    return ledger.append(kind, run_id=run_id, about=ABOUT, actor="gate need", once=once).sequence


def writer(location: str, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.ledger_writer", location, name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_what_is_appended_is_there(location: str) -> None:
    with open_ledger(location) as ledger:
        assert ledger.check(ledger.checkpoint()) == (0, ())
        assert [append(ledger), append(ledger, "other"), append(ledger)] == [1, 2, 3]
    with open_ledger(location, read_only=True) as ledger:
        assert [entry.sequence for entry in ledger.entries()] == [1, 2, 3]
        assert [entry.run_id for entry in ledger.entries("other")] == ["other"]
        checkpoint = ledger.checkpoint()
        assert checkpoint.sequence == 3 and ledger.check(checkpoint) == (3, ())


def test_once_is_once_a_run(location: str) -> None:
    with open_ledger(location) as ledger:
        assert [append(ledger, once=True), append(ledger, "other", once=True)] == [1, 2]
        assert append(ledger, once=True) == 1
        assert append(ledger) == 3, "without `once` it happened again"


@pytest.mark.slow
def test_four_processes_make_one_chain(location: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    writers = [writer(location, f"writer-{number}", 500) for number in range(4)]
    outputs = [process.communicate()[0].split() for process in writers]
    seconds = time.monotonic() - began
    assert [process.returncode for process in writers] == [0, 0, 0, 0]
    acknowledged = {int(number) for output in outputs for number in output[::2]}
    assert acknowledged == set(range(1, 2001))
    with open_ledger(location, read_only=True) as ledger:
        assert ledger.check(ledger.checkpoint()) == (2000, ())
        abouts = {entry.about for entry in ledger.entries()}
    assert abouts == {digest_json([f"writer-{which}", number]) for which in range(4) for number in range(500)}
    with capsys.disabled():
        engine = location.partition(":")[0] if ":" in location else "sqlite"
        print(f"\n{engine}: {2000 / seconds:.0f} appends a second, four processes")


@pytest.mark.slow
def test_a_killed_writer_breaks_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """Forty times; what the writer was told is on the disk stays there."""
    location, chance, acknowledged = str(tmp_path / "ledger.sqlite"), random.Random(7), []
    with open_ledger(location):
        pass
    for attempt in range(40):
        process = writer(location, f"writer-{attempt}", 100_000)
        assert process.stdout is not None
        first = process.stdout.readline()  # it is at work
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        lines = (first + process.stdout.read()).splitlines()
        process.wait()
        acknowledged += [line.split() for line in lines if len(line.split(" ")[-1]) == 71]
        with open_ledger(location, read_only=True) as ledger:
            assert ledger.check()[1] == ()
    with open_ledger(location) as ledger:
        stored = {(str(entry.sequence), entry.entry_digest) for entry in ledger.entries()}
        assert len(acknowledged) >= 40 and {(a, b) for a, b in acknowledged} <= stored
        append(ledger)
        assert ledger.check()[1] == ()


EDITS = (
    "UPDATE ledger_entries SET actor = 'me' WHERE sequence = 1",
    "DELETE FROM ledger_entries WHERE sequence = 2",
    "INSERT INTO ledger_entries SELECT sequence + 5, 'x', kind, run_id, about, actor, at, clock_set_back, "
    "entry_digest FROM ledger_entries WHERE sequence = 1",
)


@pytest.mark.parametrize("edit", EDITS)
def test_the_database_itself_refuses(location: str, edit: str) -> None:
    with open_ledger(location) as ledger:
        append(ledger)
        append(ledger)
        with REFUSED, ledger.engine.begin() as connection:
            connection.execute(text(edit))
        assert ledger.check() == (2, ())


def test_sqlite_refuses_to_replace_and_postgresql_to_truncate(location: str) -> None:
    with open_ledger(location) as ledger:
        append(ledger)
        edit = (
            "INSERT OR REPLACE INTO ledger_entries SELECT sequence, previous, kind, run_id, about, 'me', at, "
            "clock_set_back, entry_digest FROM ledger_entries"
            if ledger.engine.dialect.name == "sqlite"
            else "TRUNCATE ledger_entries"
        )
        with REFUSED, ledger.engine.begin() as connection:
            connection.execute(text(edit))
        assert ledger.check() == (1, ())


def test_dropped_rules_and_what_was_done_then_are_found(location: str) -> None:
    with open_ledger(location) as ledger:
        append(ledger)
        append(ledger)
        checkpoint = ledger.checkpoint()
        on = "" if ledger.engine.dialect.name == "sqlite" else " ON ledger_entries"
        with ledger.engine.begin() as connection:
            connection.execute(text(f"DROP TRIGGER ledger_append_only{on}"))
            connection.execute(text("UPDATE ledger_entries SET actor = 'me' WHERE sequence = 1"))
        assert [str(fault) for fault in ledger.check(checkpoint)[1]] == [
            "the database's rule ledger_append_only is gone",
            "entry 1: its digest is not that of its content: it was changed",
        ]


def test_a_clock_that_was_set_back_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return now

    monkeypatch.setattr(book, "datetime", Clock)
    with open_ledger(str(tmp_path / "ledger.sqlite")) as ledger:
        append(ledger)
        now -= timedelta(hours=1)
        append(ledger)
        append(ledger)
        now += timedelta(hours=3)
        append(ledger)
        assert [entry.clock_set_back for entry in ledger.entries()] == [False, True, False, False]
        assert ledger.check()[1] == ()


def test_a_newer_version_is_left_alone(location: str) -> None:
    with open_ledger(location) as ledger, ledger.engine.begin() as connection:
        connection.execute(text("UPDATE ledger_schema SET version = 2"))
    for read_only in (True, False):
        with pytest.raises(LedgerError, match="newer than ours"), open_ledger(location, read_only=read_only):
            pass


def test_a_locked_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    with open_ledger(str(path)) as ledger:
        append(ledger)
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another process"), open_ledger(str(path)):
        pass
    with open_ledger(str(path), read_only=True) as ledger:
        assert ledger.check() == (1, ()), "readers need not wait"
    other.execute("COMMIT")
    other.close()
    with open_ledger(str(path)) as ledger:
        assert append(ledger) == 2


def test_a_read_only_ledger_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with open_ledger(str(path)) as ledger:
        append(ledger)
    with open_ledger(str(path), read_only=True) as ledger:
        assert ledger.check() == (1, ())
        with pytest.raises(LedgerError, match="cannot be written to"):
            append(ledger)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_leave_to_write(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with open_ledger(str(path)) as ledger:
        append(ledger)
    for lock in tmp_path.glob(".*.lock"):
        lock.unlink()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with open_ledger(str(path), read_only=True) as ledger:
            assert ledger.check() == (1, ())
        with pytest.raises(LedgerError), open_ledger(str(path)):
            pass
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """SQLite says the same of a limit on its pages as of a disk."""
    with open_ledger(str(tmp_path / "ledger.sqlite")) as ledger:
        append(ledger)
        with ledger.engine.connect() as connection:  # the one connection that the pool keeps
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        appended = 1
        with pytest.raises(LedgerError, match="the disk is full"):
            for _ in range(1000):
                append(ledger)
                appended += 1
        assert ledger.check() == (appended, ())
    with open_ledger(str(tmp_path / "ledger.sqlite")) as ledger:
        assert append(ledger) == appended + 1


def test_what_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(LedgerError, match="cannot be opened"), open_ledger(str(path), read_only=True):
        pass
    assert not path.exists(), "reading makes none"
    path.write_bytes(b"nothing of the kind" * 100)
    for read_only in (True, False):
        refused = pytest.raises(LedgerError, match="no SQLite database")
        with refused, open_ledger(str(path), read_only=read_only):
            pass
    with pytest.raises(LedgerError, match="choose another"), open_ledger(str(path / "below")):
        pass
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(LedgerError, match="no ledger"), open_ledger(str(other), read_only=True):
        pass


@pytest.mark.parametrize("location", ["mysql://u:secret@h/d", "http://secret", "://"])
def test_other_urls_are_refused_without_their_password(location: str) -> None:
    with pytest.raises(InputError, match="postgresql://USER") as caught, open_ledger(location):
        pass
    assert "secret" not in str(caught.value)


def test_a_postgresql_that_is_not_there(postgresql: str) -> None:
    del postgresql  # the driver is installed
    location = "postgresql://u:secret@127.0.0.1:9/d"
    with pytest.raises(LedgerError, match=r"127\.0\.0\.1") as caught, open_ledger(location):
        pass
    assert "secret" not in str(caught.value)
