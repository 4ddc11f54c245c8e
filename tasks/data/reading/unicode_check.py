"""Finding texts that are no UTF-8 in tables that a loader took as they came."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_contracts.errors import Problem

if TYPE_CHECKING:
    import pyarrow as pa

_LISTED = 20


def undecodable_rows(table: "pa.Table", name: str) -> tuple[Problem, ...]:
    """A problem for each of the first rows that hold bytes which are no UTF-8, in the columns of text."""
    problems: list[Problem] = []
    for column in table.column_names:
        for row, fault in _faults(table[column]):
            if len(problems) == _LISTED:
                return tuple(problems)
            problems.append(
                Problem(
                    where=f"{name}, row {row + 1}, column {column!r}",
                    expected="text in UTF-8",
                    found=f"byte 0x{fault.object[fault.start]:02x} at position {fault.start + 1}",
                    remedy="write the file again from text that was decoded by its own encoding",
                )
            )
    return tuple(problems)


def _faults(column: "pa.ChunkedArray") -> Iterator[tuple[int, UnicodeDecodeError]]:
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return
    before = 0
    for chunk in column.chunks:
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid:
            for row, value in enumerate(chunk.cast("large_binary").to_pylist()):
                try:
                    (value or b"").decode("utf-8")
                except UnicodeDecodeError as fault:
                    yield before + row, fault
        before += len(chunk)
