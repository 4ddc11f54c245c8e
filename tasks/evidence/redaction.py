"""Redacted dossiers: which files hold texts, and what of them can still be verified once these are gone.

A redacted dossier keeps its manifest. Each file is then byte for byte as the manifest names it; or it is a
table from which texts, salts and identities were taken, and what is kept of it has the digest that the
stage's evidence names, which is in the manifest and cited by signed decisions; or it is the page of examples,
which proves nothing and may be gone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import ArtifactDamagedError, one_line
from data_contracts.kept_tables import BATCH, EXAMPLES_PAGE, holds_texts, kept_digest
from data_contracts.records.base import Digest, FileRecord, digest_file
from data_contracts.records.evidence import ScoringEvidence
from data_contracts.records.redaction import RedactedFile, Redaction
from data_contracts.records.snapshot import ContractEvidence, ReplayEvidence, Snapshot, Split
from data_contracts.records.tables import TableFile
from data_contracts.records.verification import Check, FoundFault
from data_contracts.row_salts import COMMITMENT, ROW_ID, SALT, opens
from tasks.evidence.dossier import MANIFEST, Dossier
from tasks.evidence.records import read_record
from tasks.evidence.store import RECORD_FILE

_UNREADABLE = (ArtifactDamagedError, pa.ArrowException, OSError, KeyError, TypeError, ValueError)

REDACTION = "redaction.json"
REMOVED = (f"snapshot/{EXAMPLES_PAGE}",)
"""Files that a redaction removes whole."""


def read_redaction(dossier: Dossier) -> Redaction | None:
    """``None`` where nothing was redacted.

    Raises:
        ArtifactDamagedError: the file is no such record.
    """
    path = dossier.folder / REDACTION
    if not path.is_file():
        return None
    return read_record(path, Redaction)


def files_now(dossier: Dossier) -> tuple[FileRecord, ...]:
    """Every file but the manifest, as the manifest and a redaction name it; sorted by path.

    Raises:
        ArtifactDamagedError: either cannot be read.
    """
    files = {file.path: file for file in dossier.manifest().files}
    redaction = read_redaction(dossier)
    if redaction is not None:
        for each in redaction.files:
            files.pop(each.before.path, None)
            if each.after is not None:
                files[each.after.path] = each.after
        place = dossier.folder / REDACTION
        files[REDACTION] = FileRecord(
            path=REDACTION, sha256=digest_file(place), size_bytes=place.stat().st_size
        )
    return tuple(files[path] for path in sorted(files))


def tables_of(dossier: Dossier) -> dict[str, TableFile]:
    """The tables of rows that the dossier's evidence names, by their path in it.

    Raises:
        ArtifactDamagedError: evidence cannot be read.
    """
    return dict(_tables(dossier.folder))


def still_holding(dossier: Dossier) -> tuple[str, ...]:
    """Files that hold texts, sorted: before a redaction all there are, after it none, some where one was
    broken off.

    Raises:
        ArtifactDamagedError: evidence, or a table that it names, cannot be read.
    """
    found = [
        path for path, record in tables_of(dossier).items() if not is_redacted(dossier.folder / path, record)
    ]
    return tuple(sorted([*found, *(path for path in REMOVED if (dossier.folder / path).exists())]))


def check_redacted(
    dossier: Dossier, digest: Callable[[Path], Digest] = digest_file
) -> tuple[FoundFault, ...]:
    """What differs between the files there are and what manifest, redaction and evidence say of them.

    For a dossier that was never redacted that is whatever differs from its manifest. A redaction that was
    broken off is no fault: each file of it is still in one of the two states (:func:`still_holding`).

    Args:
        digest: of a file; whoever looks at files more than once need not read them more than once.
    """
    try:
        manifest = dossier.manifest()
    except ArtifactDamagedError as error:
        return (_fault(MANIFEST, one_line(error)),)
    faults: list[FoundFault] = []
    redaction, tables = None, {}
    try:
        redaction = read_redaction(dossier)
        tables = tables_of(dossier) if redaction else {}
    except ArtifactDamagedError as error:
        faults.append(_fault(REDACTION, one_line(error)))
    found = _Found(dossier.folder, {file.path: file for file in manifest.files}, tables, digest)
    faults += found.statement_faults(manifest.run_id, redaction)
    return (*faults, *found.file_faults(redaction))


@dataclass(frozen=True)
class _Found:
    folder: Path
    named: Mapping[str, FileRecord]
    tables: Mapping[str, TableFile]
    digest: Callable[[Path], Digest]

    def statement_faults(self, run_id: str, redaction: Redaction | None) -> Iterator[FoundFault]:
        """What ``redaction`` says beside the manifest."""
        if redaction is None:
            return
        if redaction.run_id != run_id:
            yield _fault(REDACTION, f"it is of the run {redaction.run_id}, and this is {run_id}")
        if redaction.manifest != digest_file(self.folder / MANIFEST):
            yield _fault(REDACTION, "it was made beside another manifest")
        paths = [each.before.path for each in redaction.files]
        if len(set(paths)) != len(paths):
            yield _fault(REDACTION, "it lists a file twice")
        for each in redaction.files:
            path = each.before.path
            if self.named.get(path) != each.before:
                yield _fault(REDACTION, f"it says of {path} what the manifest does not")
            if each.after is not None and (each.after.path != path or path not in self.tables):
                yield _fault(REDACTION, f"it lists {path}, of which no evidence says what is kept")
            if each.after is None and path not in REMOVED:
                yield _fault(REDACTION, f"it says that {path} was removed, which is never done")

    def file_faults(self, redaction: Redaction | None) -> Iterator[FoundFault]:
        """What the files are not."""
        listed = {each.before.path: each for each in redaction.files} if redaction else {}
        for path, file in self.named.items():
            pure = PurePosixPath(path)
            if pure.is_absolute() or ".." in pure.parts:
                yield _fault(MANIFEST, f"it names {path!r}, which lies outside the dossier")
            else:
                yield from self._file(path, file, listed.get(path))
        own = {MANIFEST, REDACTION}
        for place in sorted(self.folder.rglob("*")):
            path = place.relative_to(self.folder).as_posix()
            if place.is_symlink():
                yield _fault(path, "it is a link; a dossier holds files alone")
            elif place.is_file() and path not in self.named and path not in own:
                yield _fault(path, "the manifest does not name it: it was added")

    def _file(self, path: str, file: FileRecord, redacted: RedactedFile | None) -> Iterator[FoundFault]:
        place = self.folder / path
        if not place.is_file():
            if redacted is None or redacted.after is not None or path not in REMOVED:
                yield _fault(path, "it is not there, and the manifest names it")
            return
        size, digest = place.stat().st_size, self.digest(place)
        if digest == file.sha256:
            return
        if redacted is None or redacted.after is None or path not in self.tables:
            if size != file.size_bytes:
                yield _fault(path, f"it has {size:,} bytes; the manifest says {file.size_bytes:,}")
            else:
                yield _fault(path, "its digest is not the manifest's: it was changed")
            return
        if digest != redacted.after.sha256:
            yield _fault(path, "it is neither as the manifest nor as the redaction names it")
        try:
            yield from _kept_faults(place, path, self.tables[path])
        except _UNREADABLE as error:
            yield _fault(path, f"it cannot be read: {one_line(error)}")


def is_redacted(place: Path, record: TableFile) -> bool:
    """Whether the texts of a table are gone; raises ``ArtifactDamagedError`` if it cannot be read."""
    return not holds_texts(_columns(place), record.texts)


def is_as_named(place: Path, record: TableFile, digest: Callable[[Path], Digest] = digest_file) -> bool:
    """Whether a table is the file that evidence names, or what a redaction keeps of it."""
    try:
        if digest(place) == record.sha256:
            return True
        return is_redacted(place, record) and kept_digest(place, record.texts) == record.kept
    except _UNREADABLE:
        return False


def table_faults(dossier: Dossier) -> Iterator[FoundFault]:
    """What is wrong with the commitments of tables that still hold their texts, and with what would be kept.

    Raises:
        ArtifactDamagedError: evidence cannot be read.
    """
    for path, record in tables_of(dossier).items():
        place = dossier.folder / path
        try:
            if not is_redacted(place, record):
                if kept_digest(place, record.texts) != record.kept:
                    yield _fault(
                        path, "what would be kept of it without texts is not what its evidence names"
                    )
                yield from _opening_faults(place, path, record)
        except _UNREADABLE as error:
            yield _fault(path, f"it cannot be read: {one_line(error)}")


def _kept_faults(place: Path, path: str, record: TableFile) -> Iterator[FoundFault]:
    if not is_redacted(place, record):
        yield _fault(path, "it holds texts, and is not the file that held them")
    elif kept_digest(place, record.texts) != record.kept:
        yield _fault(path, "what is kept of it is not what its evidence names: it was changed")


def _opening_faults(place: Path, path: str, record: TableFile) -> Iterator[FoundFault]:
    if not record.texts:
        return
    bad: list[str] = []
    with pq.ParquetFile(place) as file:
        for batch in file.iter_batches(BATCH, columns=[ROW_ID, SALT, COMMITMENT, *record.texts]):
            for row in batch.to_pylist():
                texts = {name: row[name] for name in record.texts}
                if not opens(row[COMMITMENT], row[SALT], texts):
                    bad.append(row[ROW_ID])
    if bad:
        what = f"the texts of {len(bad)} rows are not what was committed to, first {bad[0]}"
        yield _fault(path, what)


def _tables(folder: Path) -> Iterator[tuple[str, TableFile]]:
    splits = {split.value for split in Split}
    for path in sorted(folder.rglob(RECORD_FILE)):
        stage = path.parent.relative_to(folder).as_posix()
        for record in _named_by(path, stage, splits):
            if record.path != PurePosixPath(record.path).name:
                raise ArtifactDamagedError(f"{path} names {record.path!r}, which lies outside its folder")
            yield f"{stage}/{record.path}", record


def _named_by(path: Path, stage: str, splits: set[str]) -> tuple[TableFile, ...]:
    match stage:
        case "contract":
            contract = read_record(path, ContractEvidence)
            return tuple(each for each in (contract.accepted, contract.rejected) if each is not None)
        case "snapshot":
            snapshot = read_record(path, Snapshot)
            return (*(split.file for split in snapshot.splits), snapshot.rejected)
        case "replay":
            return (read_record(path, ReplayEvidence).file,)
        case _ if stage.rpartition("/")[2] in splits:
            return (read_record(path, ScoringEvidence).scores,)
    return ()


def _columns(path: Path) -> list[str]:
    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read as a table: {error}") from error
    return names


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.FILES, where=where, what=what)
