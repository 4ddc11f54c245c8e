"""Writing tables so that equal rows make equal bytes, and a file is either whole or absent."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def write_parquet(table: "pa.Table", path: Path) -> None:
    """Writes under a temporary name first; nothing about the time or the machine enters the bytes."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    pq.write_table(table.replace_schema_metadata(None), temporary, compression="zstd")
    os.replace(temporary, path)
