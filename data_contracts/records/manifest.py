"""What a complete dossier holds."""

from data_contracts.records.base import Digest, FileRecord, Record, UtcTime


class Manifest(Record):
    """Every other file of a complete dossier. The predicate of its signed statement."""

    run_id: str
    files: tuple[FileRecord, ...]
    """Sorted by path."""
    ledger_head: Digest
    """Of the run's last entry in the ledger, which holds the outcome."""
    made_at: UtcTime
