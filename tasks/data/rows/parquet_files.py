"""Writing tables so that equal rows make equal bytes, and a file is either whole or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 20_000
"""Rows in a row group: fixed, so that bytes follow from rows and not from the batches they came in."""


class ParquetRows:
    """A parquet file that grows; row groups are of one size whatever the batches are."""

    def __init__(self, writer: Any, schema: "pa.Schema") -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self.rows = 0
        """Rows written so far."""

    def write(self, table: "pa.Table") -> None:
        """Adds the rows of ``table``, whose columns are those of the schema."""
        self._waiting.append(table.cast(self._schema).replace_schema_metadata(None))
        self._waiting_rows += table.num_rows
        self.rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP:
            self._flush(whole_groups=True)

    def close(self) -> None:
        """Writes what is left."""
        self._flush(whole_groups=False)

    def _flush(self, *, whole_groups: bool) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        stop = table.num_rows - table.num_rows % ROW_GROUP if whole_groups else table.num_rows
        # Chunks must not show either, so each group is one chunk.
        for start in range(0, stop, ROW_GROUP):
            group = table.slice(start, min(ROW_GROUP, stop - start)).combine_chunks()
            self._writer.write_table(group, row_group_size=ROW_GROUP)
        self._waiting = [table.slice(stop)] if stop < table.num_rows else []
        self._waiting_rows = table.num_rows - stop


@contextmanager
def parquet_rows(path: Path, schema: "pa.Schema") -> Iterator[ParquetRows]:
    """A file at ``path`` that appears when the block ends without an error, flushed to the disk.

    Nothing about the time or the machine enters the bytes.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as stream:
            with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                rows = ParquetRows(writer, schema)
                yield rows
                rows.close()
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
