"""Where the server keeps its records: SQLite beside the state, or PostgreSQL by URL."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qsl

from data_contracts.errors import InputError, one_line

DATABASE_VARIABLE = "LORAFIRST_DATABASE"
_CONNECT_SECONDS = 5.0
_DRIVER = "postgresql+asyncpg://"
_EXTENSION = "pg_trgm"
_SECRET = ("user", "password", "sslpassword")
"""Parameters that a URL may not have: what is shown of it has all of them."""


def database_url(asked: str | None, state: Path) -> str:
    """The URL as Prefect takes it.

    Raises:
        InputError: neither SQLite nor PostgreSQL, or with a password that would be shown.
    """
    if asked is None:
        return f"sqlite+aiosqlite:///{state / 'prefect.db'}"
    scheme, separator, rest = asked.partition("://")
    if separator and scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        _require_hidden(rest)
        return _DRIVER + rest
    raise InputError.single(
        "--database",
        expected=f"{_DRIVER}USER:PASSWORD@HOST:PORT/NAME",
        found=f"{scheme}://..." if separator else "no URL",
        remedy="give the URL of a PostgreSQL database, or leave it out for SQLite",
    )


def _require_hidden(rest: str) -> None:
    parameters = parse_qsl(rest.partition("?")[2], keep_blank_values=True)
    named = [name for name in _SECRET if any(name == given.lower() for given, _ in parameters)]
    if named:
        raise InputError.single(
            "--database",
            expected=f"{_DRIVER}USER:PASSWORD@HOST:PORT/NAME, name and password before the host",
            found=f"{' and '.join(named)} among the parameters behind the `?`, where they would be shown",
            remedy="put them before the host",
        )


def is_postgresql(url: str) -> bool:
    """Whether a URL as Prefect takes it leads to a server of its own."""
    return url.startswith(_DRIVER)


def without_password(url: str) -> str:
    """The same to be shown."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def require_database(url: str) -> None:
    """Returns only if PostgreSQL answers at ``url`` and has what Prefect needs; SQLite needs no server.

    Raises:
        InputError: it cannot be reached, refuses, or lacks the extension.
    """
    if not is_postgresql(url):
        return
    import asyncpg
    from sqlalchemy.exc import ArgumentError

    async def has_extension() -> bool:
        plain = url.replace(_DRIVER, "postgresql://", 1)
        connection = await asyncpg.connect(plain, timeout=_CONNECT_SECONDS)
        try:
            asked = "SELECT count(*) FROM pg_available_extensions WHERE name = $1"
            return bool(await connection.fetchval(asked, _EXTENSION))
        finally:
            await connection.close()

    shown = "--database"
    try:
        shown = f"--database {without_password(url)}"
        complete = asyncio.run(has_extension())
    except (OSError, ValueError, ArgumentError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise InputError.single(
            shown,
            expected=f"a PostgreSQL database that answers within {_CONNECT_SECONDS:g} seconds",
            found=one_line(error),
            remedy="start it, or correct the URL",
        ) from error
    if not complete:
        raise InputError.single(
            shown,
            expected=f"a PostgreSQL with the extension {_EXTENSION}, by which Prefect searches",
            found="one that lacks it",
            remedy="install PostgreSQL's own contributed extensions there (`postgresql-contrib`)",
        )
