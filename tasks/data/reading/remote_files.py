"""Files behind a URL, through fsspec: listed, and copied here before they are read.

Credentials come from the environment, as the store's own tools read them; none stands in settings.
"""

import glob
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from data_contracts.errors import InputError, Problem
from data_contracts.source_names import PROTOCOLS, protocol_of
from tasks.data.reading.local_copies import stored_copy, text_key

_EXTRAS = {"s3": "s3", "gs": "gcs"}
_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class RemoteFile:
    """One file of a store."""

    filesystem: Any
    place: str
    """Its path in the store, without the protocol."""
    size_bytes: int

    def copy(self, name: str) -> Path:
        """A local copy, made anew when the store says that the file changed.

        Raises:
            InputError: it cannot be read to its end.
        """
        key = text_key(str(self.filesystem.protocol), self.place, self.filesystem.ukey(self.place))

        def write(stream: IO[bytes]) -> None:
            for chunk in self._chunks(name):
                stream.write(chunk)

        return stored_copy(f"remote-{key}", PurePosixPath(self.place).name, name, write)

    def _chunks(self, name: str) -> Iterator[bytes]:
        # Only the store's own errors are told as such: a full disk here is not its fault.
        try:
            with self.filesystem.open(self.place, "rb") as stream:
                chunk = stream.read(_CHUNK_BYTES)
                while chunk:
                    yield chunk
                    chunk = stream.read(_CHUNK_BYTES)
        except Exception as fault:  # every store raises errors of its own
            raise _unreachable(name, fault) from fault


@dataclass(frozen=True)
class RemoteListing:
    """The files that a URL names."""

    root: str
    """The folder that partitions are counted from; the file itself where the URL names one file."""
    files: tuple[RemoteFile, ...]


def list_remote_files(source: str) -> RemoteListing:
    """The file, the files of a pattern, or the files below a folder, sorted by name.

    Raises:
        InputError: the protocol is not supported, its package is not installed, the store cannot be
            reached or refuses, or there is nothing of that name.
    """
    filesystem, path = _opened(source)
    try:
        root, found = _found(filesystem, path)
        files = tuple(
            RemoteFile(filesystem, str(entry["name"]), int(entry.get("size") or 0))
            for entry in found
            if entry["type"] == "file"
        )
    except Exception as fault:  # every store raises errors of its own
        raise _unreachable(source, fault) from fault
    if not files:
        raise InputError.single(
            source,
            expected="a file, a pattern that matches files, or a folder of files",
            found="nothing there",
            remedy="check bucket and path, and that these credentials may list it",
        )
    return RemoteListing(root, tuple(sorted(files, key=lambda file: file.place)))


def _found(filesystem: Any, path: str) -> tuple[str, list[dict[str, Any]]]:
    """The folder that partitions are counted from, and what the store says of each entry."""
    try:
        # One question only: where nothing answers, every further one waits for all of its retries too.
        entry = filesystem.info(path)
    except FileNotFoundError:
        if not glob.has_magic(path):
            return path, []
        root = path[: path.rindex("/", 0, _first_magic(path))] if "/" in path else ""
        return root, list(filesystem.glob(path, detail=True).values())
    if entry["type"] == "directory":
        return path, list(filesystem.find(path, detail=True).values())
    return path, [entry]


def _opened(source: str) -> tuple[Any, str]:
    protocol = protocol_of(source)
    if protocol not in PROTOCOLS or "::" in source:
        raise InputError.single(
            source,
            expected=f"one of {', '.join(f'{known}://' for known in PROTOCOLS)}, a path, or a hub id",
            found=f"{protocol}://",
            remedy="copy the files to a place that can be read, or mount it as a folder",
        )
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except ImportError as fault:
        extra = _EXTRAS[protocol]
        raise InputError.single(
            source,
            expected=f"the package that reads {protocol}://",
            found=str(fault).splitlines()[0],
            remedy=f"pip install 'lorafirst[{extra}]'",
        ) from fault
    # It writes a trace for each retry, and a line for each look at a bucket without credentials; what comes
    # of it is told here.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    # Another process may have written there since this one last looked.
    filesystem.invalidate_cache()
    return filesystem, str(path)


def _first_magic(path: str) -> int:
    return min(path.index(character) for character in "*?[" if character in path)


def _unreachable(where: str, fault: Exception) -> InputError:
    said = next((line.strip() for line in str(fault).splitlines() if line.strip()), "")
    return InputError(
        [
            Problem(
                where=where,
                expected="a store that can be reached and lets these files be read",
                found=f"{type(fault).__name__}: {said[:200]}" if said else type(fault).__name__,
                remedy="check the name, the network and the credentials (for s3:// those of the AWS tools, "
                "for gs:// those of gcloud)",
            )
        ]
    )
