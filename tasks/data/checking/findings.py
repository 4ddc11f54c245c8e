"""What the checks found, as rules that people read and reasons why rows left."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.records.snapshot import ContractRule, RuleSeverity
from tasks.data.checking.expectations import CheckResult
from tasks.data.contracts.checks import CheckKind
from tasks.data.contracts.pipeline_rules import DUPLICATES
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.reading.sources import within

_EXAMPLES = 5

Place = Callable[[int], str]


@dataclass(frozen=True)
class Rejection:
    """Why one row left."""

    rules: tuple[str, ...]
    reason: str
    withheld: bool
    """What was found must not be written down, so neither is the row's content."""


@dataclass(frozen=True)
class Rejections:
    """The rows that leave: they break a failed rule that is no warning."""

    results: tuple[CheckResult, ...]
    """The failed rules that are no warnings."""
    rejected: np.ndarray[Any, np.dtype[np.bool_]]
    place: Place

    @classmethod
    def of(cls, results: Sequence[CheckResult], rows: int, place: Place) -> "Rejections":
        failed = tuple(
            result
            for result in results
            if not result.passed and result.check.severity is not RuleSeverity.WARNING
        )
        rejected = np.zeros(rows, dtype=bool)
        for result in failed:
            rejected[result.broken] = True
        return cls(failed, rejected, place)

    def between(self, start: int, stop: int) -> dict[int, Rejection]:
        """Position of each row that leaves from ``start`` to ``stop`` (not included), with its reasons."""
        names: dict[int, list[str]] = {}
        reasons: dict[int, list[str]] = {}
        secret: set[int] = set()
        for result in self.results:
            first = int(np.searchsorted(result.broken, start))
            for index, position in enumerate(within(result.broken, start, stop).tolist(), start=first):
                names.setdefault(position, []).append(result.check.name)
                reasons.setdefault(position, []).append(self._reason(result, index))
                if result.check.rule in CATALOGUE and CATALOGUE[result.check.rule].withholds:
                    secret.add(position)
        return {
            position: Rejection(tuple(names[position]), "; ".join(reasons[position]), position in secret)
            for position in sorted(names)
        }

    def _reason(self, result: CheckResult, index: int) -> str:
        plain = f"{result.check.name}: expected {result.check.expected}"
        if result.others is None or result.others[index] < 0:
            return plain
        other = self.place(int(result.others[index]))
        return f"duplicate of {other}" if result.check.name == DUPLICATES else f"{plain}, found {other}"


def contract_rule(result: CheckResult, *, rows: int, place: Place) -> ContractRule:
    """The rule as evidence; ``place`` says of a row where it stands."""
    check = result.check
    broken = len(result.broken)
    # What could not be checked must not slip through as a quarantine of no rows.
    unchecked = result.fault is not None and check.severity is RuleSeverity.QUARANTINE
    return ContractRule(
        name=check.name,
        rule=check.rule,
        severity=RuleSeverity.BLOCKING if unchecked else check.severity,
        allowed_percent=check.allowed_percent,
        passed=result.passed,
        observed=_observed(result, rows),
        expected=check.expected,
        broken_rows=broken,
        broken_percent=100.0 * broken / rows if rows else 0.0,
        examples=tuple(_examples(result, place)),
        remedy=_remedy(result),
        sentence=f"{check.requirement} {_finding(result, rows)}",
    )


def _examples(result: CheckResult, place: Place) -> Iterable[str]:
    if result.others is None:
        return [place(int(row)) for row in result.broken[:_EXAMPLES]]
    pairs = zip(result.broken.tolist(), result.others.tolist(), strict=True)
    told: list[str] = []
    shown: set[frozenset[int]] = set()
    for row, other in pairs:
        # Two rows that meet each other are one example.
        if len(told) < _EXAMPLES and frozenset((row, other)) not in shown:
            shown.add(frozenset((row, other)))
            alone = result.check.name == DUPLICATES or other < 0
            told.append(place(row) if alone else f"{place(row)} and {place(other)}")
    return told


def _observed(result: CheckResult, rows: int) -> str:
    if result.fault is not None:
        return f"not run: {result.fault}"
    if result.check.kind is CheckKind.DISTINCT:
        return f"{result.observed:.0f} distinct"
    if result.check.kind is CheckKind.RULE and result.check.whole_table:
        return result.found
    if result.check.whole_table:
        return f"{result.observed:.0f} rows"
    share = f" ({result.observed:.3g} %)" if result.check.in_percent else ""
    return f"{len(result.broken)} of {rows} rows break it{share}"


def _finding(result: CheckResult, rows: int) -> str:
    if result.fault is not None:
        return "It could not be checked, so it counts as broken."
    if result.check.whole_table:
        return f"Found: {_observed(result, rows)}."
    if not len(result.broken):
        return f"All {rows} rows comply."
    verb = "does" if len(result.broken) == 1 else "do"
    outcome = ""
    if result.check.severity is RuleSeverity.QUARANTINE and not result.passed:
        outcome = f", and {'was' if len(result.broken) == 1 else 'were'} put aside"
        outcome += _limit(result, rows)
    elif result.passed:
        outcome = ", which the rule allows"
    more = f" ({result.found})" if result.found else ""
    return f"{len(result.broken)} of {rows} rows {verb} not comply{more}{outcome}."


def _limit(result: CheckResult, rows: int) -> str:
    allowed = result.check.allowed_percent
    if allowed is None or 100.0 * len(result.broken) / rows <= allowed:
        return ""
    return f"; more than the {allowed:g} % that may be, so the rule blocks"


def _remedy(result: CheckResult) -> str:
    if result.passed:
        return "none needed"
    if result.fault is not None:
        return "simplify this rule, or report what it found as a fault of the pipeline"
    return result.check.remedy
