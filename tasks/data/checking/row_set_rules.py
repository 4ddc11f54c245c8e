"""Rules that point at rows by looking at all of them: repetitions, and what stands where it must not."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.checking.expectations import CheckResult, Suite, judged
from tasks.data.checking.first_pass import NO_LABEL, AllFacts
from tasks.data.contracts.checks import Check, CheckKind
from tasks.data.contracts.pipeline_rules import DUPLICATES, SAME_GROUP, SAME_QUESTION
from tasks.data.rules.derived import NO_SPLIT

CROSSING = frozenset({SAME_QUESTION, SAME_GROUP, "same_text_two_labels"})
"""Rules about keys that must not stand on two sides."""

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Met:
    """Rows that break a rule, each with a row that it meets in doing so."""

    rows: Positions
    others: Positions


def repeated_rows(facts: AllFacts, checks: Sequence[Check]) -> tuple[CheckResult, ...]:
    """The results of checks that forbid repetition, over all rows."""
    columns: dict[str, np.ndarray[Any, Any]] = {
        "usable_id": np.where(facts.usable, _codes(facts.row_ids), np.nan),
        **{name: np.where(values == 0, np.nan, _codes(values)) for name, values in facts.values.items()},
    }
    observations = Suite(checks).run(columns)
    return tuple(
        judged(check, [seen], [0], len(facts)) for check, seen in zip(checks, observations, strict=True)
    )


def first_equal(facts: AllFacts) -> Positions:
    """For each row the position of the first row that equals it."""
    _, first, back = np.unique(facts.row_ids, return_index=True, return_inverse=True)
    equal: Positions = first[back]
    return equal


def shared_by_splits(keys: np.ndarray[Any, Any], splits: np.ndarray[Any, Any], chosen: Positions) -> Met:
    """Those of the ``chosen`` rows whose key also stands in another split, and the first row they meet."""
    order = chosen[np.lexsort((chosen, keys[chosen]))]
    sorted_keys, sorted_splits = keys[order], splits[order]
    heads = np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]])[: len(order)])
    sizes = np.diff(np.append(heads, len(order)))
    head = np.repeat(heads, sizes)
    differs = sorted_splits != sorted_splits[head]
    # The first row of the group that lies in another split than the group's first row.
    second = np.full(len(order), len(order))
    np.minimum.at(second, head[differs], np.flatnonzero(differs))
    partner = np.where(differs, head, second[head])
    hit = partner < len(order)
    rows, others = order[hit], order[partner[hit]]
    ascending = np.argsort(rows)
    return Met(rows[ascending], others[ascending])


def crossing(check: Check, facts: AllFacts) -> Met:
    """The rows that break a rule about questions or groups in two splits."""
    placed = facts.splits != NO_SPLIT
    if check.rule == SAME_QUESTION:
        return shared_by_splits(facts.questions, facts.splits, np.flatnonzero(facts.usable & placed))
    if check.rule == SAME_GROUP:
        return shared_by_splits(facts.groups, facts.splits, np.flatnonzero((facts.groups != 0) & placed))
    labelled = np.flatnonzero(facts.usable & (facts.labels != NO_LABEL))
    return shared_by_splits(facts.questions, facts.labels, labelled)


def result_of(check: Check, met: Met, rows: int, found: str = "") -> CheckResult:
    """What a rule found, compared as the contract says."""
    observed = len(met.rows) * 100.0 / rows if check.in_percent and rows else float(len(met.rows))
    passed = all(comparison.holds(observed) for comparison in check.comparisons)
    return CheckResult(check, passed, observed, met.rows, found=found, others=met.others)


def is_repetition(check: Check) -> bool:
    return check.kind in {CheckKind.UNIQUE, CheckKind.UNIQUE_TOGETHER}


def with_first(result: CheckResult, first: Positions) -> CheckResult:
    """A result about duplicate rows that says of each which row it repeats."""
    if result.check.name != DUPLICATES:
        return result
    return dataclasses.replace(result, others=first[result.broken])


def _codes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    codes: np.ndarray[Any, np.dtype[np.int64]] = np.unique(values, return_inverse=True)[1]
    return codes
