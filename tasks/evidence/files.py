"""Writing so that a file is either whole or not there.

Content goes to a temporary name in the same folder, is flushed to the device and renamed; the folder
is flushed too. A crash leaves at worst a temporary file, which nothing reads.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data_contracts.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` in one step."""
    with appearing(path) as stream:
        stream.write(content)


@contextmanager
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """A stream to a file that is at ``path``, whole, once the block has ended without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_where_asked(path: Path, content: bytes, option: str) -> None:
    """Writes ``content`` to the place that a user named with ``option``.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise InputError.single(
            f"{option} {path}",
            expected="a place that can be written to",
            found=error.strerror or type(error).__name__,
            remedy="choose another place",
        ) from error


def commit_folder(temporary: Path, final: Path) -> None:
    """Flushes every file below ``temporary`` and renames it to ``final``, which must not exist."""
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            flush_folder(path)
    flush_folder(temporary)
    os.replace(temporary, final)
    flush_folder(final.parent)


def flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_folder(source: Path, target: Path) -> None:
    """Makes the files below ``source`` appear below ``target``: hard links, or copies across devices.

    Files already there under the same name are replaced; hidden files stay behind.
    """
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.linking")
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copy2(path, temporary)
        os.replace(temporary, place)
        # Renaming onto another link of the same file does nothing and leaves the temporary name.
        temporary.unlink(missing_ok=True)
        flush_folder(place.parent)


def require_writable(folder: Path) -> None:
    """Returns only if files can be made in ``folder``, which is created if need be.

    Raises:
        InputError: it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError.single(
            f"output {folder}",
            expected="a folder that can be written to",
            found=error.strerror or type(error).__name__,
            remedy="choose another folder with `output` or --output, or change its permissions",
        ) from error
