"""Every deterministic fault: alone, together with all others of its form, and what is said of good data."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.faults.checking import Checker
from benchmarks.faults.planting import Fault, Planted, Rows

ROWS_EACH = 5
"""So many rows get each fault."""

_FIRST, _STEP = 20, 11
"""Far enough apart for rows that a fault pairs with others before them."""


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    rule: str
    alone: bool
    """Found when planted alone: right rows, right rule, no other row by that rule."""
    together: bool | None
    """Found when planted with all others of its form; ``None`` for faults of the data as a whole."""
    others: tuple[int, ...]
    """Rows, from 1, that were put aside though nothing was planted in them."""

    @property
    def found(self) -> bool:
        return self.alone and self.together is not False

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "found": self.found}


def untouched(check: Checker, rows: Rows) -> dict[str, Any]:
    """What is said of good data: rows put aside, from 1, by rule; and rules of the whole that do not hold.

    The second are no false alarms where they are true, such as of a rare label of which there are few rows.
    """
    named = check(rows)
    put_aside = {
        rule: sorted(position + 1 for position in found) for rule, found in named.rows.items() if found
    }
    return {"put_aside": put_aside, "rules_of_the_whole": sorted(named.broken - put_aside.keys())}


def measure(check: Checker, rows: Rows, faults: Sequence[Fault], random: Random) -> list[Outcome]:
    """The outcome of each fault."""
    together = _together(check, rows, [fault for fault in faults if not fault.alone], random)
    return [_alone(check, rows, fault, random, together.get(fault.name)) for fault in faults]


def _alone(check: Checker, rows: Rows, fault: Fault, random: Random, together: bool | None) -> Outcome:
    changed = [dict(row) for row in rows]
    planted = fault.plant(changed, _positions(0, len(rows), random), random)
    named = check(changed)
    if planted.groups:
        found = planted.found_by(named.rows.get(fault.rule, frozenset()))
        stray = frozenset().union(*named.rows.values()) - planted.allowed
    else:
        found, stray = fault.rule in named.broken, frozenset()
    return Outcome(fault.name, fault.rule, found, together, tuple(sorted(row + 1 for row in stray)))


def _together(check: Checker, rows: Rows, faults: Sequence[Fault], random: Random) -> dict[str, bool]:
    changed = [dict(row) for row in rows]
    planted: dict[str, Planted] = {}
    for number, fault in enumerate(faults):
        start = _FIRST + number * ROWS_EACH * _STEP
        positions = [start + index * _STEP for index in range(ROWS_EACH)]
        assert positions[-1] < len(rows), "more good rows are needed for so many faults"
        planted[fault.name] = fault.plant(changed, positions, random)
    named = check(changed)
    # By one rule several faults are found, so what it may name is what all of them planted.
    allowed = frozenset().union(*(each.allowed for each in planted.values()))
    return {
        fault.name: all(
            group & named.rows.get(fault.rule, frozenset()) for group in planted[fault.name].groups
        )
        and named.rows.get(fault.rule, frozenset()) <= allowed
        for fault in faults
    }


def _positions(start: int, stop: int, random: Random) -> list[int]:
    slots = range(start + _FIRST, stop - 1, _STEP)
    return sorted(random.sample(slots, ROWS_EACH))
