"""The executable ``quality`` entries of an ODCS document as checks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from open_data_contract_standard.model import CustomProperty, DataQuality

from data_contracts.errors import Problem
from data_contracts.records.snapshot import RuleSeverity
from tasks.data.checks import Check, CheckKind, Comparison, Operator, View

SEVERITY_PROPERTY = "lorafirst.severity"
"""The custom property that says what a broken rule does: blocking, quarantine or warning."""

_SEVERITIES = {"error": RuleSeverity.BLOCKING, "warning": RuleSeverity.WARNING}
_ARGUMENTS = {
    "nullValues": (),
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": (),
    "rowCount": (),
}
_TABLE_ARGUMENTS: dict[str, tuple[str, ...]] = {"rowCount": (), "duplicateValues": ("properties",)}
_UNITS = (None, "rows", "percent")


@dataclass(frozen=True)
class Translation:
    """Checks, and what of the document could not become one."""

    checks: tuple[Check, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class Refusals:
    """Collects problems under one place."""

    where: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, key: str, *, expected: str, found: object, remedy: str) -> None:
        place = f"{self.where}.{key}" if key else self.where
        self.problems.append(Problem(where=place, expected=expected, found=str(found), remedy=remedy))


def severity_of(
    custom: Sequence[CustomProperty] | None, default: RuleSeverity, refusals: Refusals
) -> RuleSeverity:
    """What the custom property says, else ``default``."""
    for entry in custom or ():
        if entry.property == SEVERITY_PROPERTY:
            if entry.value in set(RuleSeverity):
                return RuleSeverity(entry.value)
            refusals.add(
                f"customProperties.{SEVERITY_PROPERTY}",
                expected=", ".join(RuleSeverity),
                found=repr(entry.value),
                remedy="choose one of these",
            )
    return default


def quality_check(
    quality: DataQuality, *, column: str | None, default: RuleSeverity, where: str
) -> Translation:
    """The check of one ``quality`` entry; none for ``type: text``, which is for people to read."""
    refusals = Refusals(where)
    if quality.type == "text":
        return Translation()
    if quality.type not in {None, "library"}:
        refusals.add(
            "type",
            expected="library or text",
            found=repr(quality.type),
            remedy="express the rule with a library metric; sql and custom engines are not run here",
        )
        return Translation(problems=tuple(refusals.problems))
    metric = quality.metric or quality.rule
    known = _ARGUMENTS if column is not None else _TABLE_ARGUMENTS
    if metric not in known:
        refusals.add("metric", expected=", ".join(known), found=repr(metric), remedy="choose one of these")
        return Translation(problems=tuple(refusals.problems))
    if quality.severity not in {None, *_SEVERITIES}:
        refusals.add(
            "severity",
            expected=", ".join(_SEVERITIES),
            found=repr(quality.severity),
            remedy=f"choose one, or set the custom property {SEVERITY_PROPERTY}",
        )
    if quality.unit not in _UNITS:
        refusals.add("unit", expected="rows or percent", found=repr(quality.unit), remedy="choose one")
    severity = severity_of(
        quality.customProperties, _SEVERITIES.get(quality.severity or "", default), refusals
    )
    arguments = quality.arguments or {}
    for key in arguments:
        if key not in known[metric]:
            refusals.add(
                f"arguments.{key}",
                expected=", ".join(known[metric]) or f"no arguments for {metric}",
                found=key,
                remedy="remove it, or choose the metric it belongs to",
            )
    comparisons = _comparisons(quality, refusals)
    check = _check(quality, metric, column, arguments, comparisons, severity, refusals)
    if refusals.problems or check is None:
        return Translation(problems=tuple(refusals.problems))
    return Translation(checks=(check,))


def _comparisons(quality: DataQuality, refusals: Refusals) -> tuple[Comparison, ...]:
    comparisons = []
    for operator in Operator:
        value = getattr(quality, operator.value)
        if value is None:
            continue
        bounds = value if isinstance(value, list) else [value]
        if all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds):
            comparisons.append(Comparison(operator, tuple(float(bound) for bound in bounds)))
        else:
            refusals.add(operator.value, expected="a number", found=repr(value), remedy="write a number")
    if not comparisons and not refusals.problems:
        refusals.add(
            "",
            expected="a comparison such as mustBe: 0",
            found="a metric without one",
            remedy=f"add one of {', '.join(Operator)}",
        )
    return tuple(comparisons)


def _check(
    quality: DataQuality,
    metric: str,
    column: str | None,
    arguments: dict[str, Any],
    comparisons: tuple[Comparison, ...],
    severity: RuleSeverity,
    refusals: Refusals,
) -> Check | None:
    subject = column or "rows"
    unit = "percent of rows" if quality.unit == "percent" else "rows"
    amount = " and ".join(str(comparison) for comparison in comparisons)
    shared: dict[str, Any] = {
        "name": quality.name or quality.id or f"{subject}.{metric}",
        "severity": severity,
        "comparisons": comparisons,
        "in_percent": quality.unit == "percent",
    }

    def told(kind: CheckKind, broken: str, columns: tuple[str, ...], remedy: str, **more: Any) -> Check:
        expected = f"{amount} {unit} {broken}"
        requirement = (quality.description or f"The contract asks for {expected}.").strip()
        return Check(
            kind=kind, columns=columns, expected=expected, requirement=requirement, remedy=remedy,
            **shared, **more,
        )  # fmt: skip

    columns = (column,) if column is not None else ()
    match metric:
        case "rowCount":
            return told(CheckKind.ROW_COUNT, "in all", (), "add rows, or change the contract")
        case "nullValues":
            return told(CheckKind.NOT_NULL, f"without {subject}", columns, f"fill in {subject}")
        case "missingValues":
            markers = tuple(arguments.get("missingValues") or ())
            return told(
                CheckKind.NOT_NULL, f"whose {subject} counts as missing", columns, f"fill in {subject}",
                view=View.PRESENT, missing=markers,
            )  # fmt: skip
        case "duplicateValues":
            return _duplicates(told, columns, subject, arguments, refusals)
        case _:
            return _invalid(told, columns, subject, arguments, refusals)


def _duplicates(
    told: Any, columns: tuple[str, ...], subject: str, arguments: dict[str, Any], refusals: Refusals
) -> Check | None:
    together = columns or tuple(arguments.get("properties") or ())
    if not together:
        refusals.add(
            "arguments.properties",
            expected="the columns that must not repeat together",
            found="none",
            remedy="list them",
        )
        return None
    kind = CheckKind.UNIQUE if len(together) == 1 else CheckKind.UNIQUE_TOGETHER
    names = " and ".join(together)
    check: Check = told(kind, f"repeating the {names} of another", together, "remove the repeated rows")
    return check


def _invalid(
    told: Any, columns: tuple[str, ...], subject: str, arguments: dict[str, Any], refusals: Refusals
) -> Check | None:
    values, pattern = arguments.get("validValues"), arguments.get("pattern")
    if (values is None) == (pattern is None):
        refusals.add(
            "arguments",
            expected="either validValues or pattern",
            found="both" if values is not None else "neither",
            remedy="write one of them; two rules make two entries",
        )
        return None
    remedy = f"correct {subject} in the rows named"
    check: Check
    if pattern is not None:
        require_pattern(pattern, "arguments.pattern", refusals)
        broken = f"whose {subject} does not match {pattern}"
        check = told(CheckKind.PATTERN, broken, columns, remedy, pattern=str(pattern))
    else:
        valid = tuple(values or ())
        listed = ", ".join(str(value) for value in valid)
        broken = f"whose {subject} is not one of {listed}"
        check = told(CheckKind.IN_SET, broken, columns, remedy, values=valid)
    return check


def require_pattern(pattern: object, key: str, refusals: Refusals) -> None:
    try:
        re.compile(str(pattern))
    except re.error as fault:
        refusals.add(
            key, expected="a regular expression", found=f"{pattern!r}: {fault}", remedy="correct the pattern"
        )
