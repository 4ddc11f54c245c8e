"""A dossier as one zip file: the same dossier gives the same bytes, on every machine.

Nothing in it is compressed. What is large in a dossier is compressed already (parquet) or does not compress
(weights), and another build of zlib would write other bytes.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data_contracts.errors import ArtifactDamagedError, InputError
from data_contracts.progress import Progress, silent
from data_contracts.records.archive import Archive
from data_contracts.records.base import FileRecord, digest_file
from tasks.evidence.dossier import MANIFEST, Dossier
from tasks.evidence.files import appearing
from tasks.evidence.redaction import files_now

WEIGHTS = (".safetensors",)
"""How the names of files of model weights end; lorafirst writes no others."""
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that zip knows."""
_MODE = 0o100644 << 16
_CHUNK = 1 << 20


def write_archive(
    dossier: Dossier, target: Path, *, without_weights: bool = False, progress: Progress = silent
) -> Archive:
    """Packs a complete dossier into ``target``, below a folder with the run's id.

    Each file is held against the manifest (or the redaction) while it is read, so that what is packed is what
    was recorded.
    ``progress`` is told of bytes.

    Raises:
        InputError: the run has not ended, the dossier holds links, or ``target`` cannot be written.
        ArtifactDamagedError: the dossier is not what its manifest says; every difference is named.
    """
    require_ended(dossier)
    _require_files_alone(dossier.folder)
    _require_outside(dossier.folder, target)
    run_id, files = dossier.manifest().run_id, files_now(dossier)
    own = _record(dossier.folder, MANIFEST)
    _require_no_fault(dossier, _listing_faults(dossier.folder, [own, *files]))
    left_out = tuple(file for file in files if without_weights and file.path.endswith(WEIGHTS))
    packed = sorted({own, *files} - set(left_out), key=lambda file: file.path)
    with _archive_at(target) as stream:
        changed = _pack(dossier.folder, run_id, packed, stream, progress)
        _require_no_fault(dossier, changed)
    return Archive(
        run_id=run_id,
        path=str(target),
        size_bytes=target.stat().st_size,
        sha256=digest_file(target),
        files=len(packed),
        left_out=left_out,
    )


def require_ended(dossier: Dossier) -> None:
    """Raises ``InputError`` where there is no manifest, against which a dossier's files could be held."""
    if not dossier.complete:
        raise InputError.single(
            str(dossier.folder),
            expected="the dossier of a run that has ended",
            found=f"no {MANIFEST}",
            remedy="start the run again with the same command; it goes on to its end",
        )


def _require_files_alone(folder: Path) -> None:
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not _is_plain(path)]
    if found:
        raise InputError.single(
            str(folder),
            expected="files and folders alone",
            found=f"links or devices: {', '.join(path.relative_to(folder).as_posix() for path in found)}",
            remedy="put the files themselves there; what a link leads to is not in the dossier",
        )


def _is_plain(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _require_outside(folder: Path, target: Path) -> None:
    if target.resolve().is_relative_to(folder.resolve()):
        raise InputError.single(
            f"--to {target}",
            expected="a place outside the dossier",
            found=f"one in {folder}",
            remedy="choose another place; a dossier holds what its manifest names and nothing else",
        )


def _record(folder: Path, path: str) -> FileRecord:
    place = folder / path
    return FileRecord(path=path, sha256=digest_file(place), size_bytes=place.stat().st_size)


def _listing_faults(folder: Path, files: Sequence[FileRecord]) -> Iterator[str]:
    """What is missing, added or of another size: seen without reading anything."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for file in files:
        place = there.pop(file.path, None)
        if place is None:
            yield f"{file.path} is not there"
        elif place.stat().st_size != file.size_bytes:
            yield f"{file.path} has {place.stat().st_size:,} bytes, not {file.size_bytes:,}"
    for path in sorted(there):
        yield f"{path} was added"


def _require_no_fault(dossier: Dossier, faults: Iterator[str] | Sequence[str]) -> None:
    found = list(faults)
    if found:
        raise ArtifactDamagedError(
            f"{dossier.folder} is not what its manifest (and its redaction, if any) says:\n"
            + "\n".join(f"  - {fault}" for fault in found)
            + "\n  to do: restore these files; `lorafirst verify` tells what else they are needed for"
        )


def _pack(
    folder: Path, root: str, files: Sequence[FileRecord], stream: IO[bytes], progress: Progress
) -> list[str]:
    """Returns which files were not what was recorded of them."""
    total, done, faults = sum(file.size_bytes for file in files), 0, []
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{root}/{file.path}", _TIME)
            entry.create_system, entry.external_attr = 3, _MODE
            entry.file_size = file.size_bytes
            running = hashlib.sha256()
            with (folder / file.path).open("rb") as source, archive.open(entry, "w") as sink:
                while chunk := source.read(_CHUNK):
                    running.update(chunk)
                    sink.write(chunk)
                    done += len(chunk)
                    progress(done, total, "export")
            if f"sha256:{running.hexdigest()}" != file.sha256:
                faults.append(f"{file.path} has other content")
    return faults


@contextmanager
def _archive_at(target: Path) -> Iterator[IO[bytes]]:
    """The archive's stream; a place that cannot take it is the user's to change."""
    try:
        with appearing(target) as stream:
            yield stream
    except ArtifactDamagedError:
        raise
    except OSError as error:
        raise InputError.single(
            f"--to {target}",
            expected="a place that can be written to, with room for the dossier",
            found=": ".join(filter(None, (error.strerror or type(error).__name__, error.filename))),
            remedy="choose another place",
        ) from error
