"""What changes between two contracts: rule by rule, and for data row by row."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.records.contract_reports import Change, RowChanges, RuleChange
from data_contracts.records.snapshot import RuleSeverity
from tasks.data.checking.contract import REJECTED
from tasks.data.contracts.checks import Check, Comparison, Operator

_STRICTNESS = (RuleSeverity.WARNING, RuleSeverity.QUARANTINE, RuleSeverity.BLOCKING)
_LISTED = 20

_STRICTER_ABOVE = frozenset(
    {"minimum_percent", "train", "tune", "gate", "reserve", "rows", "rows_per_label", "alpha"}
)
_STRICTER_BELOW = frozenset({"similarity", "maximum_percent", "largest"})
"""Arguments of lorafirst's own rules that reject more the higher, or the lower, they are."""


def compare_contracts(old: Sequence[Check], new: Sequence[Check]) -> tuple[RuleChange, ...]:
    """Every rule that differs, in the order of the new contract; removed ones last."""
    before = {check.name: check for check in old}
    after = {check.name: check for check in new}
    changes = [
        RuleChange(
            name=name, change=_change(before.get(name), check), old=_asks(before.get(name)), new=_asks(check)
        )
        for name, check in after.items()
        if not _same(before.get(name), check)
    ]
    gone = [
        RuleChange(name=name, change=Change.REMOVED, old=_asks(check), new="")
        for name, check in before.items()
        if name not in after
    ]
    return (*changes, *gone)


def compare_rows(old: Path, new: Path) -> RowChanges:
    """The rows on whose rejection two checks of the same data disagree.

    ``old`` and ``new`` are folders that the contract stage wrote.
    """
    before, after = _rejected(old), _rejected(new)
    rejected = [place for place in after if place not in before]
    accepted = [place for place in before if place not in after]
    return RowChanges(
        newly_rejected=len(rejected),
        newly_accepted=len(accepted),
        rejected_places=tuple(f"{_place(place)}: {after[place]}" for place in rejected[:_LISTED]),
        accepted_places=tuple(f"{_place(place)}: {before[place]}" for place in accepted[:_LISTED]),
    )


def _rejected(folder: Path) -> dict[tuple[str, int], str]:
    table = pq.read_table(folder / REJECTED, columns=["source_file", "source_row", "rules"])
    columns = (table[name].to_pylist() for name in ("source_file", "source_row", "rules"))
    return {(file, row): rules for file, row, rules in zip(*columns, strict=True)}


def _place(place: tuple[str, int]) -> str:
    return f"{place[0]}, row {place[1]}"


def _same(old: Check | None, new: Check) -> bool:
    """Whether both do the same, however they word it."""
    return old is not None and _essence(old) == _essence(new)


def _essence(check: Check) -> dict[str, Any]:
    words = {"expected", "requirement", "remedy"}
    return {f.name: getattr(check, f.name) for f in dataclasses.fields(check) if f.name not in words}


def _change(old: Check | None, new: Check) -> Change:
    if old is None:
        return Change.ADDED
    steps = [step for step in _steps(old, new) if step != 0]
    if None in steps or not steps:
        return Change.CHANGED
    if all(step > 0 for step in steps if step is not None):
        return Change.TIGHTENED
    return Change.LOOSENED if all(step < 0 for step in steps if step is not None) else Change.CHANGED


def _steps(old: Check, new: Check) -> list[float | None]:
    """For each part of the rule above 0 if it became stricter, below 0 if laxer, ``None`` if neither."""
    ranked = {"severity", "minimum", "maximum", "values", "comparisons", "arguments", "allowed_percent"}
    before, after = _essence(old), _essence(new)
    others = [None for name in before if name not in ranked and before[name] != after[name]]
    return [
        *others,
        _STRICTNESS.index(new.severity) - _STRICTNESS.index(old.severity),
        _raised(old.minimum, new.minimum),
        _raised(_negative(old.maximum), _negative(new.maximum)),
        _narrowed(old.values, new.values),
        _compared(old.comparisons, new.comparisons),
        _raised(_negative(old.allowed_percent), _negative(new.allowed_percent)),
        *(
            _argument_step(name, old.arguments.get(name), new.arguments.get(name))
            for name in {*old.arguments, *new.arguments}
        ),
    ]


def _argument_step(name: str, old: object, new: object) -> float | None:
    if old == new:
        return 0
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return None
    if name in _STRICTER_ABOVE:
        return _raised(old, new)
    return _raised(-old, -new) if name in _STRICTER_BELOW else None


def _raised(old: float | None, new: float | None) -> float:
    low = float("-inf")
    before, after = low if old is None else old, low if new is None else new
    return (after > before) - (after < before)


def _negative(limit: float | None) -> float | None:
    return None if limit is None else -limit


def _narrowed(old: tuple[object, ...], new: tuple[object, ...]) -> float | None:
    before, after = set(map(repr, old)), set(map(repr, new))
    if before == after:
        return 0
    return 1 if after < before else -1 if before < after else None


def _compared(old: tuple[Comparison, ...], new: tuple[Comparison, ...]) -> float | None:
    if old == new:
        return 0
    before, after = _range(old), _range(new)
    if before is None or after is None:
        return None
    lower, upper = _raised(before[0], after[0]), _raised(-before[1], -after[1])
    if lower * upper < 0:
        return None
    return lower + upper or None


def _range(comparisons: tuple[Comparison, ...]) -> tuple[float, float] | None:
    """What the observed number may be, from and to; ``None`` where that is no range."""
    low, high = float("-inf"), float("inf")
    for comparison in comparisons:
        first, last = comparison.bounds[0], comparison.bounds[-1]
        match comparison.operator:
            case Operator.MUST_BE | Operator.MUST_BE_BETWEEN:
                low, high = max(low, first), min(high, last)
            case Operator.MUST_BE_GREATER_OR_EQUAL_TO:
                low = max(low, first)
            case Operator.MUST_BE_LESS_OR_EQUAL_TO:
                high = min(high, first)
            case _:
                return None
    return low, high


def _asks(check: Check | None) -> str:
    return "" if check is None else f"{check.expected} ({check.severity.value})"
