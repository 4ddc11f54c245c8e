"""One walk over all rows: every rule about single rows, and of each row the little that later rules need."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from data_contracts.progress import Progress, silent
from data_contracts.records.settings import SplitSettings
from tasks.data.checks import Check, CheckKind, Scope
from tasks.data.columns import Form
from tasks.data.derived import NO_SPLIT, SPLITS, RowFacts, facts_of
from tasks.data.expectations import CheckResult, Observation, Suite, judged
from tasks.data.lengths import UNKNOWN
from tasks.data.likeness import Likeness, likeness_of
from tasks.data.row_batches import STRING, Column, RowBatch
from tasks.data.row_rules import broken_by_rule
from tasks.data.sources import SourceRows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")

WHOLE_COLUMN = frozenset({CheckKind.UNIQUE, CheckKind.UNIQUE_TOGETHER})
"""Kinds that must see all rows before they can point at some."""

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
    labels: dict[str, int] = {}
    observed: list[tuple[Observation, ...]] = []
    starts: list[int] = []
    parts: list[_Part] = []
    measured = (
        (batch, facts_of(batch, tokenizer=tokenizer, max_tokens=max_tokens, shares=shares))
        for batch in rows.batches()
    )
    for batch, facts in ahead(measured):
        observed.append(suite.run(columns_of(batch, facts, checks)))
        starts.append(batch.start)
        parts.append(_part(batch, facts, labels, compare=compare, digests_of=digests_of))
        progress(batch.start + len(batch), len(rows), "rows checked")
    results = tuple(
        judged(check, [seen[index] for seen in observed], starts, len(rows))
        for index, check in enumerate(suite.checks)
    )
    return FirstPass(_joined(parts, tuple(labels), digests_of), results)


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


@dataclass(frozen=True)
class _Part:
    facts: RowFacts
    labels: np.ndarray[Any, np.dtype[np.int32]]
    values: dict[str, np.ndarray[Any, np.dtype[np.uint64]]]
    likeness: Likeness | None


def _part(
    batch: RowBatch, facts: RowFacts, labels: dict[str, int], *, compare: bool, digests_of: Sequence[str]
) -> _Part:
    codes = np.full(len(batch), NO_LABEL, dtype=np.int32)
    if batch.form is Form.CLASSIFICATION:
        column = batch.columns["label"]
        for index, (text, kind) in enumerate(zip(column.texts.to_pylist(), column.kinds, strict=True)):
            if kind == STRING:
                codes[index] = labels.setdefault(text, len(labels))
    return _Part(
        facts,
        codes,
        {name: value_digests(batch.columns[name]) for name in digests_of if name in batch.columns},
        likeness_of(batch) if compare else None,
    )


def value_digests(column: Column) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """64 bits of each value's type and text; 0 for a null."""
    import pandas as pd

    texts = np.array(column.texts.fill_null("").to_pylist(), dtype=object)
    digests = pd.util.hash_array(texts, categorize=False) ^ column.kinds.astype(np.uint64)
    return np.where(column.kinds == 0, np.uint64(0), digests | np.uint64(1))


def _joined(parts: Sequence[_Part], label_names: tuple[str, ...], digests_of: Sequence[str]) -> AllFacts:
    def whole(name: str) -> Any:
        return np.concatenate([getattr(part.facts, name) for part in parts])

    def counted(name: str) -> Any:
        return np.concatenate([getattr(part.facts.counts, name) for part in parts])

    likenesses = [part.likeness for part in parts if part.likeness is not None]
    return AllFacts(
        row_ids=whole("row_ids"),
        questions=whole("questions"),
        splits=whole("splits"),
        groups=whole("groups"),
        usable=whole("usable"),
        tokens=counted("tokens"),
        supervised_tokens=counted("supervised_tokens"),
        cut=counted("cut"),
        labels=np.concatenate([part.labels for part in parts]),
        label_names=label_names,
        values={
            name: np.concatenate([part.values[name] for part in parts])
            for name in digests_of
            if name in parts[0].values
        },
        likeness=Likeness.joined(likenesses) if likenesses else None,
    )


def split_names(codes: np.ndarray[Any, Any]) -> list[str]:
    """The split of each code; an empty text for none."""
    names = (*SPLITS, "")
    return [names[code] for code in codes]
