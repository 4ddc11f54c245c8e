"""What many rows look like from afar: lengths, labels, types, repeats. Held as counts, never as rows."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.records.base import canonical_json
from data_contracts.records.metrics import Task
from tasks.data.rows.columns import CONTENT_COLUMNS, Form, form_of
from tasks.data.rows.row_batches import KINDS, is_null, kind_of
from tasks.data.rules.derived import roles_in_order, well_formed

MOST_LABELS = 200
"""More distinct values than these are not labels that a person could check, and are not kept."""

Columns = Mapping[str, Sequence[Any]]
"""Some rows, by column."""


@dataclass(frozen=True)
class Lengths:
    """How long the texts of one column are, in characters without the white space around them."""

    rows: int
    shortest: int
    median: int
    long: int
    """95 % of the rows are at most so long."""
    longest: int
    bins: tuple[tuple[int, int, int], ...]
    """From, to (not included), and rows in between; the last takes the long tail up to the longest."""

    @classmethod
    def of(cls, lengths: "np.ndarray[Any, Any]") -> "Lengths | None":
        """``None`` where there is nothing to measure."""
        if not len(lengths):
            return None
        quantiles = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
        return cls(
            rows=len(lengths),
            shortest=int(lengths.min()),
            median=int(quantiles[0]),
            long=int(quantiles[1]),
            longest=int(lengths.max()),
            bins=_bins(lengths),
        )


@dataclass(frozen=True)
class ColumnSummary:
    """One content column."""

    name: str
    nulls: int
    blanks: int
    """Texts of nothing but white space."""
    types: tuple[tuple[str, int], ...]
    """ODCS's names of the types of its values and how many have each, most frequent first."""
    lengths: Lengths | None
    """Of texts, and for conversations of all turns together; ``None`` where there are none."""
    values: tuple[tuple[str, int], ...] | None
    """Distinct texts and their counts, most frequent first; ``None`` beyond ``MOST_LABELS``."""


@dataclass(frozen=True)
class RowSummary:
    """All rows of one form."""

    form: Form
    rows: int
    repeats: int
    """Rows whose content an earlier row has."""
    malformed: int
    """Rows that cannot be learned from: a value is no text, or a conversation has no order."""
    columns: tuple[ColumnSummary, ...]

    def column(self, name: str) -> ColumnSummary:
        return next(column for column in self.columns if column.name == name)


def summarise(batches: Iterable[Columns], form: Form) -> RowSummary:
    """What the rows of all ``batches`` look like; 24 bytes a row stay in memory while it is found out."""
    counts = {name: _Counting() for name in CONTENT_COLUMNS[form]}
    seen: set[bytes] = set()
    rows = malformed = 0
    for batch in batches:
        content = [batch[name] for name in counts]
        for counting, values in zip(counts.values(), content, strict=True):
            counting.add(values)
        for row in zip(*content, strict=True):
            rows += 1
            malformed += not _is_usable(row, form)
            seen.add(hashlib.sha256(_bytes(row)).digest()[:16])
    return RowSummary(
        form=form,
        rows=rows,
        repeats=rows - len(seen),
        malformed=malformed,
        columns=tuple(counting.summary(name) for name, counting in counts.items()),
    )


@dataclass
class _Counting:
    nulls: int = 0
    blanks: int = 0
    types: Counter[str] = field(default_factory=Counter)
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    values: Counter[str] | None = field(default_factory=Counter)

    def add(self, values: Sequence[Any]) -> None:
        for value in values:
            if is_null(value):
                self.nulls += 1
                continue
            self.types[KINDS[kind_of(value)]] += 1
            if isinstance(value, str):
                stripped = value.strip()
                self.blanks += not stripped
                self.lengths.append(len(stripped))
                self._count(value)
            elif isinstance(value, list):
                self.lengths.append(_turns_length(value))

    def _count(self, value: str) -> None:
        if self.values is not None:
            self.values[value] += 1
            if len(self.values) > MOST_LABELS:
                self.values = None

    def summary(self, name: str) -> ColumnSummary:
        ranked = (
            None if self.values is None else tuple(sorted(self.values.items(), key=lambda v: (-v[1], v[0])))
        )
        return ColumnSummary(
            name=name,
            nulls=self.nulls,
            blanks=self.blanks,
            types=tuple(self.types.most_common()),
            lengths=Lengths.of(np.frombuffer(self.lengths, dtype=np.int64)),
            values=ranked,
        )


def _bins(lengths: "np.ndarray[Any, Any]", wanted: int = 24) -> tuple[tuple[int, int, int], ...]:
    """Bins of one width up to where 99 % of the rows lie, and the rest in the last."""
    top = int(np.quantile(lengths, 0.99, method="inverted_cdf")) + 1
    low = int(lengths.min())
    width = _round_up(max(1, -(-(top - low) // wanted)))
    start = low // width * width
    edges = list(range(start, top + width, width))
    if len(edges) < 2:
        edges.append(start + width)
    counts, _ = np.histogram(np.minimum(lengths, edges[-1] - 1), bins=edges)
    ends = [*edges[1:-1], max(edges[-1], int(lengths.max()) + 1)]
    return tuple((a, b, int(n)) for a, b, n in zip(edges[:-1], ends, counts, strict=True))


def _round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power: int = 10 ** (len(str(value)) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _is_usable(row: Sequence[Any], form: Form) -> bool:
    if form is Form.MESSAGES:
        return well_formed(row[0]) and roles_in_order(row[0])
    return all(isinstance(value, str) for value in row)


def _turns_length(turns: Sequence[Any]) -> int:
    contents = (turn.get("content") for turn in turns if isinstance(turn, dict))
    return sum(len(content.strip()) for content in contents if isinstance(content, str))


def _bytes(row: Sequence[Any]) -> bytes:
    if all(isinstance(value, str) for value in row):
        return "\0".join(row).encode("utf-8", "surrogatepass")
    try:
        return canonical_json(list(row))
    except ValueError:
        # Numbers beyond what canonical JSON can hold.
        return repr(row).encode("utf-8", "surrogatepass")


def summarise_file(path: Path, task: Task) -> RowSummary:
    """As :func:`summarise`, of a parquet file of ours, read some rows at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        form = form_of(file.schema_arrow.names, task)
        columns = list(CONTENT_COLUMNS[form])
        return summarise((batch.to_pydict() for batch in file.iter_batches(10_000, columns=columns)), form)
