"""Secrets that processes must have, and where one was written although none may be."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

PASSWORD = "ada:planted-server-password-4711"
SIGNING_PASSWORD = "planted-key-password-4712"
DATA_SECRET = "planted-store-secret-4713"
WEBHOOK_SECRET = "planted-webhook-secret-4714"
DATABASE_SECRET = "planted-database-secret-4715"
SECRETS = (PASSWORD.partition(":")[2], SIGNING_PASSWORD, DATA_SECRET, WEBHOOK_SECRET, DATABASE_SECRET)

_LARGEST = 2**27
_SQLITE = b"SQLite format 3\x00"


def written(folders: Iterable[Path], secrets: Iterable[str] = SECRETS) -> list[tuple[str, str]]:
    """Where below the folders which of the secrets stands: logs, dossiers, ledgers, databases, anything."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size < _LARGEST:
                content = b"\n".join(_contents(path))
                found += [(str(path), secret) for secret in secrets if secret.encode() in content]
    return found


def _contents(path: Path) -> Iterator[bytes]:
    """The file as it is; what a table holds is compressed in it, or lies on more than one page."""
    content = path.read_bytes()
    yield content
    if content.startswith(_SQLITE):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.text_factory = bytes
            named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in named:
                for row in connection.execute(f'SELECT * FROM "{table.decode()}"'):
                    yield from (each if isinstance(each, bytes) else str(each).encode() for each in row)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield str(pq.read_table(path).to_pylist()).encode()
