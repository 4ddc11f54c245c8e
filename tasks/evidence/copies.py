"""Where else on this machine the files of a dossier lie: the store and other dossiers, linked or copied."""

from collections.abc import Collection, Iterator
from pathlib import Path

from data_contracts.kept_tables import EXAMPLES_PAGE
from data_contracts.records.base import FileRecord, digest_file
from data_contracts.records.redaction import Copies
from data_contracts.records.snapshot import ContractEvidence, ReplayEvidence
from tasks.evidence.dossier import REQUEST, Dossier
from tasks.evidence.store import RECORD_FILE, STORE_FOLDER


def find_copies(dossier: Dossier, files: Collection[FileRecord]) -> Copies:
    """What beside ``dossier`` holds any of ``files``, by their content; and what they were made from.

    Beside means the folder that the dossier lies in. Archives, backups and other machines are not looked at.
    """
    own = dossier.folder.resolve()
    store, others = set(), set()
    for path in _like(own.parent, files):
        place = path.relative_to(own.parent).parts
        if place[0] == STORE_FOLDER:
            store.add(place[1].removeprefix(".").removesuffix(".partial"))
        elif place[0] != own.name and (own.parent / place[0] / REQUEST).is_file():
            others.add(place[0])
    looks = sorted((own.parent / ".looks").glob("*.jsonl"))
    return Copies(
        store=tuple(sorted(store)),
        dossiers=tuple(sorted(others)),
        sources=tuple(_sources(own)),
        identities=tuple(path.relative_to(own.parent).as_posix() for path in looks),
    )


def _like(output: Path, files: Collection[FileRecord]) -> Iterator[Path]:
    digests = {file.sha256 for file in files}
    sizes = {file.size_bytes for file in files}
    for path in sorted(output.rglob("*")):
        likely = (path.suffix == ".parquet" or path.name == EXAMPLES_PAGE) and path.is_file()
        if likely and path.stat().st_size in sizes and digest_file(path) in digests:
            yield path


def _sources(folder: Path) -> Iterator[str]:
    contract, replay = folder / "contract" / RECORD_FILE, folder / "replay" / RECORD_FILE
    found: list[ContractEvidence | ReplayEvidence] = []
    if contract.is_file():
        found.append(ContractEvidence.as_written(contract.read_bytes()))
    if replay.is_file():
        found.append(ReplayEvidence.as_written(replay.read_bytes()))
    for record in found:
        yield from (source.name for source in record.sources)
