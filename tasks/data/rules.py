"""What the checks found, as rules that people read and reasons why rows left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_contracts.records.snapshot import ContractRule, RuleSeverity
from tasks.data.checks import CheckKind
from tasks.data.expectations import CheckResult
from tasks.data.pipeline_rules import DUPLICATES

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = 5


@dataclass(frozen=True)
class Rejection:
    """Why one row left."""

    rules: tuple[str, ...]
    reason: str


def contract_rule(
    result: CheckResult, *, rows: int, places: Sequence[str], examples: tuple[str, ...] | None = None
) -> ContractRule:
    """The rule as evidence; ``examples`` replaces the plain places where a rule has better ones."""
    check = result.check
    shown = examples if examples is not None else tuple(places[index] for index in result.broken)
    return ContractRule(
        name=check.name,
        severity=check.severity,
        passed=result.passed,
        observed=_observed(result, rows),
        expected=check.expected,
        broken_rows=len(result.broken),
        examples=shown[:_EXAMPLES],
        remedy=_remedy(result),
        sentence=f"{check.requirement} {_finding(result, rows)}",
    )


def rejections(
    results: Sequence[CheckResult], frame: "pd.DataFrame", places: Sequence[str]
) -> dict[int, Rejection]:
    """Position of each row that leaves, with its reasons: it breaks a failed rule that is no warning."""
    first: dict[object, int] = {}
    for index, identity in enumerate(frame["row_id"]):
        first.setdefault(identity, index)
    names: dict[int, list[str]] = {}
    reasons: dict[int, list[str]] = {}
    for result in results:
        if result.passed or result.check.severity is RuleSeverity.WARNING:
            continue
        for index in result.broken:
            names.setdefault(index, []).append(result.check.name)
            if result.check.name == DUPLICATES:
                reason = f"duplicate of {places[first[frame['row_id'].iloc[index]]]}"
            else:
                reason = f"{result.check.name}: expected {result.check.expected}"
            reasons.setdefault(index, []).append(reason)
    return {index: Rejection(tuple(names[index]), "; ".join(reasons[index])) for index in sorted(names)}


def _observed(result: CheckResult, rows: int) -> str:
    if result.fault is not None:
        return f"not run: {result.fault}"
    if result.check.kind is CheckKind.DISTINCT:
        return f"{result.observed:.0f} distinct"
    if result.check.whole_table:
        return f"{result.observed:.0f} rows"
    share = f" ({result.observed:.3g} %)" if result.check.in_percent else ""
    return f"{len(result.broken)} of {rows} rows break it{share}"


def _finding(result: CheckResult, rows: int) -> str:
    if result.fault is not None:
        return "It could not be checked, so it counts as broken."
    if result.check.whole_table:
        return f"Found: {_observed(result, rows)}."
    if not result.broken:
        return f"All {rows} rows comply."
    verb = "does" if len(result.broken) == 1 else "do"
    outcome = ""
    if result.check.severity is RuleSeverity.QUARANTINE and not result.passed:
        outcome = f", and {'was' if len(result.broken) == 1 else 'were'} put aside"
    elif result.passed:
        outcome = ", which the rule allows"
    return f"{len(result.broken)} of {rows} rows {verb} not comply{outcome}."


def _remedy(result: CheckResult) -> str:
    if result.passed:
        return "none needed"
    if result.fault is not None:
        return "simplify this rule, or report what it found as a fault of the pipeline"
    return result.check.remedy
