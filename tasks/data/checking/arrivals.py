"""Checked rows beside those of an earlier snapshot: which are new, how they differ, and which are fresh."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.kept_tables import table_file
from data_contracts.records.drift import DriftAspect
from data_contracts.records.retraining import Arrivals, DriftLimit
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split, SplitRecord
from data_contracts.row_salts import salt_fields
from tasks.data.checking.contract import ACCEPTED, Contract
from tasks.data.checking.samples import DRIFT_ROWS, SnapshotSample
from tasks.data.checking.table_rules import ASPECTS
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.likeness.earlier import EarlierSnapshots, texts_of
from tasks.data.rows.columns import CONTENT_COLUMNS, form_of, kept_columns, text_columns
from tasks.data.rules.drift import drift_between

_LEARNED = (Split.TRAIN, Split.TUNE)
"""Splits whose rows may be looked at freely; those of the others are for gates alone."""


def arrivals_in(checked: Path, earlier: Path, *, labels: Sequence[str]) -> Arrivals:
    """What the accepted rows in the folder ``checked`` are beside the snapshot in ``earlier``.

    Args:
        labels: that the model of that snapshot knows; none for tasks without labels.
    """
    known = identities(earlier)
    table = pq.read_table(checked / ACCEPTED, columns=["row_id"])
    now = set(table["row_id"].to_pylist())
    news = _new_rows(checked, known)
    counts = Counter(news["label"].to_pylist()) if "label" in news.column_names else Counter[str]()
    before = SnapshotSample(EarlierSnapshots((earlier,)))
    sampled = news.sort_by("row_id").slice(0, DRIFT_ROWS)
    texts = [text or "" for text in texts_of(sampled).to_pylist()]
    return Arrivals(
        rows_before=len(known),
        rows_now=len(now),
        rows_new=len(now - known),
        rows_gone=len(known - now),
        unknown_labels={label: count for label, count in sorted(counts.items()) if label not in labels},
        drift=None
        if not texts
        else drift_between(
            before.texts, texts, labels_before=before.labels or None, labels_now=dict(counts) or None
        ),
    )


def fresh_rows(
    checked: Path, evidence: ContractEvidence, earlier: Path, *, labels: tuple[str, ...], folder: Path
) -> Snapshot:
    """New rows that no gate will judge by, written into ``folder`` as the split ``tune`` of a snapshot of
    their own: rows with labels that the model of ``earlier`` knows, in the order of their identities."""
    news = _new_rows(checked, identities(earlier))
    free = [split in _LEARNED for split in news["split"].to_pylist()]
    if labels:
        free = [one and label in labels for one, label in zip(free, news["label"].to_pylist(), strict=True)]
    kept = news.filter(pa.array(free, pa.bool_())).sort_by("row_id")
    content = CONTENT_COLUMNS[form_of(news.column_names, evidence.task)]
    names = ["row_id", *content, *kept_columns(news.column_names), *(name for name, _ in salt_fields())]
    path = folder / f"{Split.TUNE}.parquet"
    pq.write_table(kept.select(names), path)
    counts = dict(Counter(kept["label"].to_pylist())) if labels else {}
    assert evidence.rejected is not None
    return Snapshot(
        task=evidence.task,
        contract=evidence.contract,
        labels=labels,
        splits=(
            SplitRecord(
                split=Split.TUNE,
                file=table_file(path, text_columns(names)),
                rows=kept.num_rows,
                label_counts=counts,
            ),
        ),
        rejected=evidence.rejected,
        rejected_rows=evidence.rows_quarantined,
    )


def drift_limits(contract: Contract) -> tuple[DriftLimit, ...]:
    """From when on drift counts: as the contract's own rules say, else as the catalogue does."""
    stated = {check.rule: dict(check.arguments) for check in contract.checks if check.rule in ASPECTS}
    return tuple(_limit(rule, aspect, stated.get(rule, {})) for rule, aspect in ASPECTS.items())


def _limit(rule: str, aspect: DriftAspect, stated: dict[str, Any]) -> DriftLimit:
    usual = {name: argument.default for name, argument in CATALOGUE[rule].arguments.items()}
    numbers = {**usual, **stated}
    return DriftLimit(aspect=aspect, largest=float(numbers["largest"]), alpha=float(numbers["alpha"]))


def identities(snapshot: Path, splits: Iterable[Split] = Split) -> set[str]:
    """Of the rows that the snapshot in this folder holds in ``splits``; no texts are read."""
    return {
        row_id
        for split in splits
        for row_id in pq.read_table(snapshot / f"{split}.parquet", columns=["row_id"])["row_id"].to_pylist()
    }


def _new_rows(checked: Path, known: set[str]) -> pa.Table:
    file = pq.ParquetFile(checked / ACCEPTED)
    return pa.Table.from_batches(_unknown(file, known), schema=file.schema_arrow)


def _unknown(file: pq.ParquetFile, known: set[str]) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches(batch_size=20_000):
        new = np.array([row_id not in known for row_id in batch["row_id"].to_pylist()], dtype=bool)
        yield batch.filter(pa.array(new))
