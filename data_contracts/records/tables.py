"""Tables of rows: files whose texts can be taken out later while the rest can still be verified."""

from data_contracts.records.base import Digest, FileRecord


class TableFile(FileRecord):
    """A parquet file with a row for each row of data."""

    texts: tuple[str, ...]
    """Columns with somebody's words, or with what an identity of theirs could be told from; a redaction
    removes them, and with them the salts. The rows' commitments bind them."""
    kept: Digest
    """Of the table as a redaction leaves it, whichever way it is encoded (``data_contracts.kept_tables``)."""
