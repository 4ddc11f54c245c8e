"""The name and password that the server asks everybody for."""

import os
import secrets
from pathlib import Path

from data_contracts.errors import InputError

VARIABLE = "LORAFIRST_AUTH"
_FILE = "auth"


def credentials_file(state: Path) -> Path:
    return state / _FILE


def find_credentials(state: Path) -> str:
    """``NAME:PASSWORD``, from the environment, or from a file that only its owner can read.

    The file is made at random where there is none, and kept, so that clients need not learn anew.

    Raises:
        InputError: what is there is no name and password, or others can read the file.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _checked(given, VARIABLE)
    path = credentials_file(state)
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"lorafirst:{secrets.token_urlsafe(24)}")
    if path.stat().st_mode & 0o077:
        raise InputError.single(
            str(path),
            expected="a file that only its owner can read",
            found="one that others can read",
            remedy=f"remove it, so that another password is made, or run `chmod 600 {path}`",
        )
    return _checked(path.read_text(encoding="ascii").strip(), str(path))


def _checked(value: str, where: str) -> str:
    name, colon, password = value.partition(":")
    if not (name and colon and len(password) >= 8 and value.isascii() and value.isprintable()):
        raise InputError.single(
            where,
            expected="NAME:PASSWORD in plain ASCII, the password of eight characters at least",
            found="something else",
            remedy="set another, or leave it out: one is then made at random",
        )
    return value
