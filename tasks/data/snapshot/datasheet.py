"""The datasheet of a snapshot: what it holds, where it came from, what left and why, what it is for.

The headings follow "Datasheets for Datasets" (Gebru et al., 2021). What only people know comes from the
contract's description, and is asked for where that is silent.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split
from tasks.data.rows.columns import CONTENT_COLUMNS, form_of
from tasks.data.rules.withholding import private
from tasks.data.snapshot.summaries import RowSummary, summarise_file

EXAMPLES = 3
_SHOWN_CHARACTERS = 400

ASKED = {
    "purpose": "Why was this data made, and for which task?",
    "limitations": "Who or what is missing from it, and what may it not be used for?",
    "usage": "Where does it come from, under which licence, and did the people in it agree?",
}
"""Keys of an ODCS ``description``, and the questions of a datasheet that they answer."""


@dataclass(frozen=True)
class SplitSheet:
    """One split."""

    split: Split
    summary: RowSummary


@dataclass(frozen=True)
class Datasheet:
    """Everything that the page and the artifact show."""

    name: str
    evidence: ContractEvidence
    snapshot: Snapshot
    splits: tuple[SplitSheet, ...]
    left: tuple[tuple[str, int], ...]
    """Rules by which rows left, and how many did; a row that broke two is counted at both."""
    examples: tuple[tuple[tuple[str, str], ...], ...]
    """Rows of ``train``, as column and shortened text; never of a split that is held out."""
    withheld: bool
    """Whether rows were passed over as examples because a rule on privacy speaks of them."""
    stated: Mapping[str, str]
    """What the contract says under the keys of ``ASKED``."""


def make_datasheet(
    folder: Path, snapshot: Snapshot, evidence: ContractEvidence, stated: Mapping[str, str]
) -> Datasheet:
    """The datasheet of the snapshot in ``folder``: the same rows give the same sheet."""
    examples, withheld = _examples(folder / snapshot.split(Split.TRAIN).file.path, evidence)
    return Datasheet(
        name=evidence.contract_name,
        evidence=evidence,
        snapshot=snapshot,
        splits=tuple(
            SplitSheet(record.split, summarise_file(folder / record.file.path, evidence.task))
            for record in snapshot.splits
            if record.rows
        ),
        left=_left(folder / snapshot.rejected.path),
        examples=examples,
        withheld=withheld,
        stated={key: stated[key].strip() for key in ASKED if stated.get(key, "").strip()},
    )


def _left(rejected: Path) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    with pq.ParquetFile(rejected) as file:
        for batch in file.iter_batches(10_000, columns=["reason"]):
            for reason in batch["reason"].to_pylist():
                counts.update(set((reason or "").split("; ")))
    return tuple(counts.most_common())


def _examples(
    train: Path, evidence: ContractEvidence
) -> tuple[tuple[tuple[tuple[str, str], ...], ...], bool]:
    chosen: list[tuple[tuple[str, str], ...]] = []
    withheld = False
    # Rows lie in the order of their digests, so the first are as good as drawn by lot, and always the same.
    for row in _rows(train, evidence):
        if any(private([text for _, text in row])):
            withheld = True
            continue
        chosen.append(tuple((name, _shortened(text)) for name, text in row))
        if len(chosen) == EXAMPLES:
            break
    return tuple(chosen), withheld


def _rows(path: Path, evidence: ContractEvidence) -> Iterator[tuple[tuple[str, str], ...]]:
    with pq.ParquetFile(path) as file:
        names = CONTENT_COLUMNS[form_of(file.schema_arrow.names, evidence.task)]
        for batch in file.iter_batches(100, columns=list(names)):
            for record in batch.to_pylist():
                yield tuple(part for name in names for part in _parts(name, record[name]))


def _parts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        yield from ((str(turn["role"]), str(turn["content"])) for turn in value)
    else:
        yield name, str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."
