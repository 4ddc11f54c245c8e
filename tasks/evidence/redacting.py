"""Taking the texts out of a dossier: new files beside it first, then one record, then file by file.

The record ``redaction.json`` is the point of no return. Until it is there the dossier is as it was; from then
on each file is either as it was or as the record says, which verifies both ways, and the same command does
what is left. Files are replaced and never written to, because the store and other dossiers share them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from data_contracts.errors import ArtifactDamagedError, InputError
from data_contracts.kept_tables import kept_digest, kept_tables
from data_contracts.progress import Progress, silent
from data_contracts.records.base import FileRecord, digest_file, utc_time
from data_contracts.records.ledger import EntryKind
from data_contracts.records.redaction import RedactedFile, Redaction
from data_contracts.records.tables import TableFile
from tasks.evidence.archive import require_ended
from tasks.evidence.dossier import LOCKS, MANIFEST, Dossier
from tasks.evidence.files import flush_folder, require_writable, write_atomically
from tasks.evidence.ledger.book import ledger_at_hand, open_ledger
from tasks.evidence.redaction import REDACTION, check_redacted, read_redaction, still_holding, tables_of

_STAGING = ".redacting"
"""Begins the name of a folder beside the dossier; what is in it is of no use to anybody."""


@dataclass(frozen=True)
class Author:
    """Who takes texts out, and why."""

    name: str
    reason: str
    at: datetime


def require_redactable(dossier: Dossier) -> tuple[str, ...]:
    """The files that hold texts.

    Raises:
        InputError: the run has not ended.
        ArtifactDamagedError: the dossier is not what its manifest says. What is damaged could not be told
            from what was redacted afterwards.
    """
    require_ended(dossier)
    faults = check_redacted(dossier)
    if faults:
        raise ArtifactDamagedError(
            f"{dossier.folder} is damaged, and is not redacted:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\n  to do: restore these files, so that what remains can still be verified"
        )
    return still_holding(dossier)


def redact_dossier(dossier: Dossier, author: Author, *, progress: Progress = silent) -> Redaction | None:
    """Removes every text from ``dossier``; what had been begun is brought to its end, in its author's name.

    Returns what was removed, now or before; ``None`` where nothing holds texts and never did. It is entered
    in the ledger, where one is at hand, before it is done.

    Raises:
        InputError: the run has not ended, or somebody else is at it.
        ArtifactDamagedError: the dossier is damaged; nothing was changed.
        LedgerError: it could not be entered; nothing was changed.
    """
    with _staging(dossier) as staging:
        holding = require_redactable(dossier)
        begun = read_redaction(dossier)
        if not holding:
            return begun
        redaction = _staged(dossier, holding, staging, author, begun, progress)
        _enter(dossier, redaction)
        write_atomically(dossier.folder / REDACTION, redaction.canonical_json())
        _carry_out(dossier.folder, holding, staging)
    return redaction


def drop_texts(folder: Path, record: TableFile) -> None:
    """Replaces a table in ``folder`` by what a redaction keeps of it; evidence names both.

    Raises:
        ArtifactDamagedError: what would be kept is not what the evidence names.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dropping-") as staging:
        _stage(folder, record.path, record, Path(staging))
        os.replace(Path(staging) / record.path, folder / record.path)
    flush_folder(folder)


def _staged(
    dossier: Dossier,
    holding: tuple[str, ...],
    staging: Path,
    author: Author,
    begun: Redaction | None,
    progress: Progress,
) -> Redaction:
    """What will have been done, its files made ready in ``staging``."""
    tables = tables_of(dossier)
    before = {file.path: file for file in dossier.manifest().files}
    files = {each.before.path: each for each in begun.files} if begun else {}
    for number, path in enumerate(holding, 1):
        after = _stage(dossier.folder, path, tables[path], staging) if path in tables else None
        files[path] = RedactedFile(before=before[path], after=after)
        progress(number, len(holding), "redact")
    return Redaction(
        run_id=dossier.manifest().run_id,
        manifest=digest_file(dossier.folder / MANIFEST),
        files=tuple(files[path] for path in sorted(files)),
        redacted_by=begun.redacted_by if begun else author.name,
        reason=begun.reason if begun else author.reason,
        redacted_at=begun.redacted_at if begun else utc_time(author.at),
    )


def _stage(folder: Path, path: str, record: TableFile, staging: Path) -> FileRecord:
    """Writes what is kept of a table, and makes sure that it is what the evidence names."""
    import pyarrow.parquet as pq

    place = staging / path
    place.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    with place.open("wb") as stream:
        for table in kept_tables(folder / path, record.texts):
            writer = writer or pq.ParquetWriter(stream, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
        stream.flush()
        os.fsync(stream.fileno())
    if kept_digest(place, record.texts) != record.kept:
        raise ArtifactDamagedError(
            f"{folder / path}: what would be kept of it is not what its evidence names\n"
            "  to do: report this as a fault of the pipeline; nothing was changed"
        )
    return FileRecord(path=path, sha256=digest_file(place), size_bytes=place.stat().st_size)


def _enter(dossier: Dossier, redaction: Redaction) -> None:
    location = ledger_at_hand(dossier.folder.resolve().parent)
    if location is None:
        return
    with open_ledger(location) as ledger:
        about, actor = redaction.digest(), redaction.redacted_by
        ledger.append(EntryKind.REDACTION, run_id=redaction.run_id, about=about, actor=actor, once=True)


def _carry_out(folder: Path, holding: tuple[str, ...], staging: Path) -> None:
    for path in holding:
        if (staging / path).is_file():
            os.replace(staging / path, folder / path)
        else:
            (folder / path).unlink()
        flush_folder((folder / path).parent)


@contextmanager
def _staging(dossier: Dossier) -> Iterator[Path]:
    """An empty folder on the dossier's own disk, and the sole right to redact it, while the block runs."""
    folder = dossier.folder.resolve()
    staging = folder.parent / f"{_STAGING}-{folder.name}"
    require_writable(folder)
    require_writable(folder.parent / LOCKS)
    try:
        with FileLock(folder.parent / LOCKS / f"{folder.name}.redacting.lock", timeout=0):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except Timeout as error:
        raise InputError.single(
            str(folder),
            expected="a dossier that nobody else redacts",
            found="another process that does",
            remedy="wait for it",
        ) from error
