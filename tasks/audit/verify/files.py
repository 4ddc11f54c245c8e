"""The manifest against the folder: every file, no other, and no way out of it."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data_contracts.records.base import FileRecord, digest_file
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held
from tasks.evidence.dossier import MANIFEST


def file_faults(held: Held) -> Iterator[FoundFault]:
    """What differs between the manifest and the folder."""
    yield from _links(held.folder)
    if held.manifest is None:
        if not (held.folder / MANIFEST).is_file():
            yield _fault(MANIFEST, "it is not there: the run has not ended, or the dossier was cut short")
        return
    if held.manifest.run_id != held.run_id:
        yield _fault(MANIFEST, f"it is of the run {held.manifest.run_id}, and this is {held.run_id}")
    named = {file.path: file for file in held.manifest.files}
    if len(named) != len(held.manifest.files):
        yield _fault(MANIFEST, "it names a file twice")
    for path, file in named.items():
        yield from _file(held.folder, path, file)
    there = {path.relative_to(held.folder).as_posix() for path in held.folder.rglob("*") if path.is_file()}
    for path in sorted(there - set(named) - {MANIFEST}):
        yield _fault(path, "the manifest does not name it: it was added")


def _links(folder: Path) -> Iterator[FoundFault]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            yield _fault(path.relative_to(folder).as_posix(), "it is a link; a dossier holds files alone")


def _file(folder: Path, path: str, file: FileRecord) -> Iterator[FoundFault]:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        yield _fault(MANIFEST, f"it names {path!r}, which lies outside the dossier")
        return
    place = folder / path
    if not place.is_file():
        yield _fault(path, "it is not there, and the manifest names it")
    elif place.stat().st_size != file.size_bytes:
        yield _fault(path, f"it has {place.stat().st_size:,} bytes; the manifest says {file.size_bytes:,}")
    elif digest_file(place) != file.sha256:
        yield _fault(path, "its digest is not the manifest's: it was changed")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.FILES, where=where, what=what)
