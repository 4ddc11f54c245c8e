"""Plain local copies of files that are packed or lie elsewhere: made once, by content, whole or absent."""

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.records.base import digest_file
from data_contracts.source_names import packing_of, unpacked_name

_CHUNK_BYTES = 2**20
_ZSTD_CHUNK_BYTES = 2**11
"""Every 4 bytes of a Zstandard file may unpack to 128 KiB, so a chunk of this size to at most 64 MiB."""


class DamagedError(Exception):
    """A packed file that cannot be unpacked; says why."""


def copies_folder() -> Path:
    """Where copies are kept."""
    return cache_folder() / "sources"


def unpacked(path: Path, name: str) -> Path:
    """A plain copy of a packed file, found again by the packed file's digest; ``path`` itself if plain.

    Raises:
        InputError: the file is cut short or damaged; it says after which line. Nothing is left behind.
    """
    packing = packing_of(path.name)
    if packing is None:
        return path
    key = digest_file(path).removeprefix("sha256:")[:32]

    def write(stream: IO[bytes]) -> None:
        lines = 0
        try:
            for chunk in _unpacked_chunks(path, packing):
                lines += chunk.count(b"\n")
                stream.write(chunk)
        except DamagedError as fault:
            raise InputError.single(
                f"{name}, after line {lines}",
                expected=f"a whole {packing} file",
                found=str(fault),
                remedy="copy or pack the file again; an interrupted copy ends early",
            ) from fault

    return stored_copy(f"unpacked-{key}", unpacked_name(path.name), name, write)


def stored_copy(key: str, file_name: str, name: str, write: Callable[[IO[bytes]], None]) -> Path:
    """The file kept under ``key``; ``write`` is called for its content if it is not there yet.

    Raises:
        InputError: there is no room or no permission for it; ``name`` says for which file.
    """
    # A prefix of the key alone would do; the file name keeps what loaders read from it.
    final = copies_folder() / key / file_name
    if final.exists():
        # So that its age counts from its last use.
        os.utime(final.parent)
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=final.parent, prefix=".partial-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
            os.replace(temporary, final)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise InputError.single(
            name,
            expected=f"room for a plain copy below {copies_folder()}",
            found=fault.strerror or type(fault).__name__,
            remedy="make room there, or set LORAFIRST_CACHE to a folder on a larger disk",
        ) from fault
    return final


@dataclass(frozen=True)
class StoredCopy:
    """One copy, or what a process that was killed left of one."""

    folder: Path
    size_bytes: int
    used_at: float
    """When it was last made or used, in seconds since 1970."""

    @property
    def name(self) -> str:
        """Of the file in it."""
        names = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        return names[0] if names else "(left behind)"


def stored_copies() -> tuple[StoredCopy, ...]:
    """Every copy, the one used longest ago first."""
    folders = [path for path in copies_folder().glob("*") if path.is_dir()]
    found = [
        StoredCopy(
            folder,
            sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            folder.stat().st_mtime,
        )
        for folder in folders
    ]
    return tuple(sorted(found, key=lambda copy: (copy.used_at, copy.folder)))


def remove_copies(copies: Iterable[StoredCopy]) -> None:
    """Deletes them. Who names the same data again gets a new copy.

    Raises:
        InputError: there is no permission for it.
    """
    for copy in copies:
        try:
            shutil.rmtree(copy.folder)
        except OSError as fault:
            raise InputError.single(
                str(copy.folder),
                expected="a copy that may be deleted",
                found=fault.strerror or type(fault).__name__,
                remedy="delete it as the user who made it",
            ) from fault


def text_key(*parts: str) -> str:
    """32 hexadecimal digits that stand for ``parts``, to keep a copy under."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _unpacked_chunks(path: Path, packing: str) -> Iterator[bytes]:
    return _gzip_chunks(path) if packing == ".gz" else _zstd_chunks(path)


def _gzip_chunks(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as stream:
        while True:
            try:
                chunk = stream.read(_CHUNK_BYTES)
            except EOFError as fault:
                raise DamagedError("it ends before its end marker") from fault
            except (gzip.BadGzipFile, zlib.error) as fault:
                raise DamagedError(f"not gzip, or damaged ({fault})") from fault
            if not chunk:
                return
            yield chunk


def _zstd_chunks(path: Path) -> Iterator[bytes]:
    import zstandard

    # The stream reader takes an early end for the end; this one says whether the frame was whole.
    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as stream:
        rest = stream.read(_ZSTD_CHUNK_BYTES)
        while rest:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                yield frame.decompress(rest)
            except zstandard.ZstdError as fault:
                raise DamagedError(f"not Zstandard, or damaged ({fault})") from fault
            rest = frame.unused_data or stream.read(_ZSTD_CHUNK_BYTES)
    if not frame.eof:
        raise DamagedError("it ends before its end marker")
