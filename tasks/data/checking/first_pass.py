"""One walk over all rows: every rule about single rows, and of each row the little that later rules need."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from data_contracts.progress import Progress, silent
from data_contracts.records.settings import SplitSettings
from tasks.data.checking.expectations import CheckResult, Observation, Suite, judged
from tasks.data.contracts.checks import Check, CheckKind, Scope
from tasks.data.likeness.row_sketches import Likeness, likeness_of
from tasks.data.reading.sources import SourceRows
from tasks.data.rows.columns import Form
from tasks.data.rows.row_batches import STRING, Column, RowBatch
from tasks.data.rules.derived import NO_SPLIT, SPLITS, RowFacts, facts_of
from tasks.data.rules.row_rules import broken_by_rule
from tasks.data.tokens.lengths import UNKNOWN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


NO_LABEL = -1


@dataclass(frozen=True)
class AllFacts:
    """Of every row what later rules need, in under 100 bytes a row (and 360 more where rows are compared)."""

    row_ids: np.ndarray[Any, np.dtype[np.bytes_]]
    questions: np.ndarray[Any, np.dtype[np.bytes_]]
    splits: np.ndarray[Any, np.dtype[np.uint8]]
    groups: np.ndarray[Any, np.dtype[np.uint64]]
    usable: np.ndarray[Any, np.dtype[np.bool_]]
    tokens: np.ndarray[Any, np.dtype[np.int32]]
    supervised_tokens: np.ndarray[Any, np.dtype[np.int32]]
    cut: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int32]]
    """Index into ``label_names``; ``NO_LABEL`` for what is no text, and for rows without labels."""
    label_names: tuple[str, ...]
    values: Mapping[str, np.ndarray[Any, np.dtype[np.uint64]]]
    """A digest of each value of the columns that must not repeat; 0 for a null."""
    likeness: Likeness | None

    def __len__(self) -> int:
        return len(self.row_ids)


@dataclass(frozen=True)
class FirstPass:
    """What the walk found."""

    facts: AllFacts
    results: tuple[CheckResult, ...]
    """In the order of the checks."""


def walk(
    rows: SourceRows,
    checks: Sequence[Check],
    *,
    tokenizer: "PreTrainedTokenizerBase | None",
    max_tokens: int,
    shares: SplitSettings,
    compare: bool,
    progress: Progress = silent,
    digests_of: Sequence[str] = (),
) -> FirstPass:
    """Runs ``checks``, which are about single rows, over all rows.

    The next batch is read and tokenised while this one is checked; both are mostly native code, so two
    threads keep two cores busy. ``compare`` sketches texts; ``digests_of`` names columns whose values must
    be compared over all rows.

    Raises:
        InputError: the tokenizer does not suit the rows.
    """
    suite = Suite(checks)
    gathered = _Gathered(rows, compare=compare, digests_of=digests_of)
    observed: list[tuple[Observation, ...]] = []
    starts: list[int] = []
    measured = (
        (batch, facts_of(batch, tokenizer=tokenizer, max_tokens=max_tokens, shares=shares))
        for batch in rows.batches()
    )
    for batch, facts in ahead(measured):
        observed.append(suite.run(columns_of(batch, facts, checks)))
        starts.append(batch.start)
        gathered.add(batch, facts)
        progress(batch.start + len(batch), len(rows), "rows checked")
    results = tuple(
        judged(check, [seen[index] for seen in observed], starts, len(rows))
        for index, check in enumerate(suite.checks)
    )
    return FirstPass(gathered.all(), results)


def columns_of(
    batch: RowBatch, facts: RowFacts, checks: Sequence[Check]
) -> dict[str, "Column | np.ndarray[Any, Any]"]:
    """Everything that checks can speak of, by the names under which they do."""
    counts = facts.counts
    columns: dict[str, Column | np.ndarray[Any, Any]] = {
        **batch.columns,
        "usable": facts.usable,
        "tokens": _known(counts.tokens),
        "supervised_tokens": _known(counts.supervised_tokens),
        "prompt_tokens": _known(counts.prompt_tokens),
        # Set membership passes over nulls, and a missing split is as wrong as an unknown one.
        "split_known": facts.splits != NO_SPLIT,
    }
    if facts.shape is not None:
        columns |= {
            "turns_well_formed": facts.shape.turns_well_formed,
            "role_order_ok": facts.shape.role_order_ok,
            "assistant_turns": facts.shape.assistant_turns,
        }
    for check in checks:
        if check.kind is CheckKind.RULE and check.scope is Scope.ROW:
            columns[check.frame_column] = broken_by_rule(check, batch, facts)
    return columns


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in another thread while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting = worker.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = worker.submit(next, items, None)
            yield item


def _known(counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(counts == UNKNOWN, np.nan, counts)


def value_digests(column: Column) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """64 bits of each value's type and text; 0 for a null."""
    import pandas as pd

    texts = np.array(column.texts.fill_null("").to_pylist(), dtype=object)
    digests = pd.util.hash_array(texts, categorize=False) ^ column.kinds.astype(np.uint64)
    return np.where(column.kinds == 0, np.uint64(0), digests | np.uint64(1))


class _Gathered:
    """The facts of all rows, filled in batch by batch: their number is known, so nothing is held twice."""

    def __init__(self, rows: SourceRows, *, compare: bool, digests_of: Sequence[str]) -> None:
        count = len(rows)
        self.labels: dict[str, int] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {
            "row_ids": np.empty(count, "S32"),
            "questions": np.empty(count, "S32"),
            "splits": np.empty(count, np.uint8),
            "groups": np.empty(count, np.uint64),
            "usable": np.empty(count, np.bool_),
            "tokens": np.empty(count, np.int32),
            "supervised_tokens": np.empty(count, np.int32),
            "cut": np.empty(count, np.uint8),
            "labels": np.full(count, NO_LABEL, np.int32),
        }
        self.values = {name: np.empty(count, np.uint64) for name in digests_of if name in rows.columns}
        self.likeness = Likeness.room_for(count, rows.form) if compare else None

    def add(self, batch: RowBatch, facts: RowFacts) -> None:
        part = slice(batch.start, batch.start + len(batch))
        for name in ("row_ids", "questions", "splits", "groups", "usable"):
            self.arrays[name][part] = getattr(facts, name)
        for name in ("tokens", "supervised_tokens", "cut"):
            self.arrays[name][part] = getattr(facts.counts, name)
        if batch.form is Form.CLASSIFICATION:
            self.arrays["labels"][part] = _label_codes(batch.columns["label"], self.labels)
        for name, values in self.values.items():
            values[part] = value_digests(batch.columns[name])
        if self.likeness is not None:
            self.likeness.put(part, likeness_of(batch))

    def all(self) -> AllFacts:
        return AllFacts(
            **self.arrays, label_names=tuple(self.labels), values=self.values, likeness=self.likeness
        )


def _label_codes(column: Column, known: dict[str, int]) -> list[int]:
    return [
        known.setdefault(text, len(known)) if kind == STRING else NO_LABEL
        for text, kind in zip(column.texts.to_pylist(), column.kinds, strict=True)
    ]


def split_names(codes: np.ndarray[Any, Any]) -> list[str]:
    """The split of each code; an empty text for none."""
    names = (*SPLITS, "")
    return [names[code] for code in codes]
