"""Kills at a server: what the benchmark plans, and the PostgreSQL that it kills. The rest needs a server."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import served_recovery
from benchmarks.killing import POINTS
from benchmarks.own_postgresql import OwnPostgresql, programs
from benchmarks.recovery import settings
from benchmarks.served_kills import Target
from benchmarks.served_recovery import DATABASES, plan, write
from data_contracts.records.settings import RunSettings
from tasks.decisions.taking_up import MOST_TIMES


def test_the_run_is_one_that_settings_allow() -> None:
    asked = settings("minilm", "rows.jsonl", output="killed-0", processes=1)
    assert RunSettings.model_validate(asked).output == Path("killed-0")


@pytest.mark.parametrize("database", DATABASES)
def test_kills_come_in_the_order_of_a_run_and_no_run_dies_too_often(database: str) -> None:
    for kills in plan(database):
        places = [POINTS.index(kill.point) for kill in kills]
        assert places == sorted(set(places))
        # Without its worker a run may break off, too.
        endings = sum(kill.target.is_deadly or kill.target is Target.WORKER for kill in kills)
        assert 0 < endings <= MOST_TIMES


def test_everything_is_killed_somewhere() -> None:
    killed = {kill.target for database in DATABASES for kills in plan(database) for kill in kills}
    assert killed == set(Target)
    assert not any(kill.target is Target.DATABASE for kills in plan("sqlite") for kill in kills)


def test_the_part_of_one_database_leaves_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = tmp_path / "result.json"
    monkeypatch.setattr(served_recovery, "RESULT", result)
    found: dict[str, Any] = {"kills": 9}
    write("sqlite", found)
    write("postgresql", {"kills": 10})
    write("sqlite", {"kills": 8})
    assert json.loads(result.read_text())["databases"] == {
        "sqlite": {"kills": 8},
        "postgresql": {"kills": 10},
    }


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path may have no more than 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.skipif(programs() is None, reason="no PostgreSQL of the system's to test with")
def test_a_postgresql_that_was_killed_keeps_what_it_was_told(short_folder: Path) -> None:
    import psycopg

    postgresql = OwnPostgresql(short_folder)
    url = postgresql.url.replace("+asyncpg", "")
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table told (number int)")
            connection.execute("insert into told values (7)")
            postgresql.kill()
        postgresql.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("select number from told").fetchall() == [(7,)]
    finally:
        postgresql.stop()
