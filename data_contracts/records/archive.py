"""What ``lorafirst export`` wrote; its ``--json`` is this record."""

from data_contracts.records.base import Digest, FileRecord, Record


class Archive(Record):
    """One dossier as one file."""

    run_id: str
    path: str
    """Of the archive, as it was asked for."""
    size_bytes: int
    sha256: Digest
    """Of the archive. The same dossier gives the same bytes, whoever packs it and when."""
    files: int
    """In the archive."""
    left_out: tuple[FileRecord, ...]
    """Model weights that were left out; the manifest in the archive names their digests."""
