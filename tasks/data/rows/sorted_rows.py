"""Sorting more rows than fit into memory, by the random digits of their identities."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = "0123456789abcdef"


def rows_in_order(tables: "Iterable[pa.Table]", names: Sequence[str], folder: Path) -> "Iterator[pa.Table]":
    """All rows of ``tables``, sorted by the columns ``names``, of which the first is ``row_id``.

    Rows are first parted by the first digit of ``row_id`` into sixteen files in a temporary folder inside
    ``folder``; then one file at a time, about a sixteenth of the rows, is sorted in memory.
    """
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".sorting-") as scratch:
        paths = {digit: Path(scratch) / f"{digit}.arrow" for digit in _DIGITS}
        for path in _parted(tables, paths):
            with pa.memory_map(str(path)) as stream:
                table = pa.ipc.open_stream(stream).read_all()
            yield table.sort_by([(name, "ascending") for name in names])


def _parted(tables: "Iterable[pa.Table]", paths: dict[str, Path]) -> list[Path]:
    import pyarrow as pa
    import pyarrow.compute as pc

    writers: dict[str, Any] = {}
    with ExitStack() as stack:
        for table in tables:
            firsts = pc.utf8_slice_codeunits(table["row_id"], 0, 1)
            for digit in pc.unique(firsts).to_pylist():
                if digit not in writers:
                    writer = pa.ipc.new_stream(str(paths[digit]), table.schema)
                    writers[digit] = stack.enter_context(writer)
                writers[digit].write_table(table.filter(pc.equal(firsts, digit)))
    return [paths[digit] for digit in _DIGITS if digit in writers]
