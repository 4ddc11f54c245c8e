"""Texts that were taken out of a dossier: what, by whom, why and when; and where else they still lie."""

from data_contracts.records.base import Digest, FileRecord, Record, UtcTime


class RedactedFile(Record):
    """One file that is no longer as the manifest names it."""

    before: FileRecord
    """As the manifest names it."""
    after: FileRecord | None
    """As it is now; ``None``: it was removed whole."""


class Redaction(Record):
    """What a redacted dossier holds as ``redaction.json``, beside a manifest that stays as it was."""

    run_id: str
    manifest: Digest
    """Of the bytes of ``manifest.json``."""
    files: tuple[RedactedFile, ...]
    """Sorted by path."""
    redacted_by: str
    """A name that somebody typed."""
    reason: str
    redacted_at: UtcTime


class Copies(Record):
    """Where else on this machine the removed texts were found; copies elsewhere nobody can find from here."""

    store: tuple[str, ...]
    """Finished stages in the store of the output folder."""
    dossiers: tuple[str, ...]
    """Other dossiers in the same folder."""
    sources: tuple[str, ...]
    """Files that the rows were read from, as the run named them."""
    identities: tuple[str, ...]
    """Files with digests of rows' texts, by which somebody could find out a short one by guessing."""


class RedactionReport(Record):
    """What ``lorafirst redact --json`` prints."""

    redaction: Redaction | None
    """``None`` where the dossier holds no texts and never did."""
    already: bool
    """Whether the texts had been removed before."""
    removed_from_store: tuple[str, ...]
    """Stages that were removed from the store, as asked."""
    copies: Copies
    """What still holds the texts."""
