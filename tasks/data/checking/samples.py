"""Statistical looks at a sample of rows: the lowest identities, which are random and the same every time."""

from typing import Any

import numpy as np
import pyarrow as pa

from data_contracts.records.drift import DriftReport
from data_contracts.records.snapshot import Split
from tasks.data.checking.alike import Compared
from tasks.data.checking.first_pass import NO_LABEL, AllFacts
from tasks.data.likeness.earlier import EarlierSnapshots, snapshot_batches
from tasks.data.likeness.row_sketches import whole_texts
from tasks.data.reading.sources import SourceRows, within
from tasks.data.rules.drift import drift_between
from tasks.data.rules.label_errors import likely_label_errors

Positions = np.ndarray[Any, np.dtype[np.int64]]

DRIFT_ROWS = 5_000
"""Rows of each side that drift is measured on: a difference of 5 points in a share shows in so many."""


def drift_from_last(
    rows: SourceRows, facts: AllFacts, accepted: Positions, earlier: EarlierSnapshots
) -> DriftReport | None:
    """How far the ``accepted`` rows lie from the last accepted snapshot; ``None`` if there is none."""
    if earlier.last is None:
        return None
    before = SnapshotSample(earlier)
    now = lowest(facts.row_ids, accepted, DRIFT_ROWS)
    labels, counts = np.unique(facts.labels[accepted], return_counts=True)
    return drift_between(
        before.texts,
        texts_at(rows, now),
        labels_before=before.labels,
        labels_now={
            facts.label_names[code]: int(count)
            for code, count in zip(labels, counts, strict=True)
            if code != NO_LABEL
        },
    )


def contradicted_labels(
    of: Compared, *, folds: float, largest_sample: float, largest_confidence: float
) -> Positions:
    """Positions, ascending, of rows whose label is probably another one."""
    labelled = np.flatnonzero(of.left & of.facts.usable & (of.facts.labels != NO_LABEL))
    sample = lowest(of.facts.row_ids, labelled, int(largest_sample))
    found = likely_label_errors(
        texts_at(of.rows, sample),
        of.facts.labels[sample],
        folds=int(folds),
        largest_confidence=largest_confidence,
    )
    return np.sort(sample[found])


def lowest(row_ids: np.ndarray[Any, Any], positions: Positions, count: int) -> Positions:
    """Those ``count`` of the ``positions`` whose rows have the lowest identities, in the order of these."""
    chosen: Positions = positions[np.argsort(row_ids[positions], kind="stable")[:count]]
    return chosen


def texts_at(rows: SourceRows, positions: Positions) -> list[str]:
    """All that each of the rows says, in the order of ``positions``."""
    ascending = np.sort(positions)
    texts: dict[int, str] = {}
    for batch in rows.batches(ascending):
        wanted = within(ascending, batch.start, batch.start + len(batch))
        found = whole_texts(batch).take(pa.array(wanted - batch.start)).to_pylist()
        texts |= {position: text or "" for position, text in zip(wanted.tolist(), found, strict=True)}
    return [texts[position] for position in positions.tolist()]


class SnapshotSample:
    """Texts of the rows with the lowest identities of a snapshot, and the counts of all its labels."""

    def __init__(self, earlier: EarlierSnapshots) -> None:
        import pyarrow.parquet as pq

        assert earlier.last is not None
        texts: list[tuple[str, str]] = []
        self.labels: dict[str, int] = {}
        for split in Split:
            names = pq.read_schema(earlier.last / f"{split}.parquet").names
            if "label" in names:
                column = pq.read_table(earlier.last / f"{split}.parquet", columns=["label"])["label"]
                for entry in column.value_counts().to_pylist():
                    self.labels[entry["values"]] = self.labels.get(entry["values"], 0) + entry["counts"]
            # Files lie in the order of identities, so the lowest of all are among the first of each.
            batch = next(snapshot_batches(earlier.last, split), None)
            if batch is not None:
                ids = pq.ParquetFile(earlier.last / f"{split}.parquet").iter_batches(
                    batch_size=len(batch), columns=["row_id"]
                )
                texts += zip(next(ids)["row_id"].to_pylist(), whole_texts(batch).to_pylist(), strict=True)
        self.texts = [text or "" for _, text in sorted(texts)[:DRIFT_ROWS]]
