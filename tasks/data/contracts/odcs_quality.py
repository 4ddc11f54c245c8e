"""The executable ``quality`` entries of an ODCS document as checks."""

import re
from typing import Any

from open_data_contract_standard.model import DataQuality

from data_contracts.records.snapshot import RuleSeverity
from tasks.data.contracts.checks import Check, CheckKind, Comparison, Operator, View
from tasks.data.contracts.odcs_custom import custom_check
from tasks.data.contracts.odcs_parts import (
    Consequence,
    Refusals,
    Translation,
    comparisons_of,
    consequence_of,
    severity_key,
)

_ARGUMENTS = {
    "nullValues": (),
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": (),
    "rowCount": (),
}
_TABLE_ARGUMENTS: dict[str, tuple[str, ...]] = {"rowCount": (), "duplicateValues": ("properties",)}


def quality_check(
    quality: DataQuality, *, column: str | None, default: Consequence, where: str
) -> Translation:
    """The check of one ``quality`` entry; none for ``type: text``, which is for people to read."""
    refusals = Refusals(where)
    if quality.type == "text":
        return Translation()
    if quality.type == "custom":
        return custom_check(quality, column=column, default=default, where=where)
    if quality.type not in {None, "library"}:
        refusals.add(
            "type",
            expected="library, text, or custom with engine: lorafirst",
            found=repr(quality.type),
            remedy="express the rule with a library metric; sql and other engines are not run here",
        )
        return Translation(problems=tuple(refusals.problems))
    metric = quality.metric or quality.rule
    known = _ARGUMENTS if column is not None else _TABLE_ARGUMENTS
    if metric not in known:
        refusals.add("metric", expected=", ".join(known), found=repr(metric), remedy="choose one of these")
        return Translation(problems=tuple(refusals.problems))
    own = consequence_of(quality.customProperties, refusals, severity=severity_key(quality, refusals))
    consequence = own.over(default).over(Consequence(RuleSeverity.BLOCKING))
    arguments = quality.arguments or {}
    for key in arguments:
        if key not in known[metric]:
            refusals.add(
                f"arguments.{key}",
                expected=", ".join(known[metric]) or f"no arguments for {metric}",
                found=key,
                remedy="remove it, or choose the metric it belongs to",
            )
    comparisons = comparisons_of(quality, refusals)
    if not comparisons and not refusals.problems:
        refusals.add(
            "",
            expected="a comparison such as mustBe: 0",
            found="a metric without one",
            remedy=f"add one of {', '.join(Operator)}",
        )
    check = _check(quality, metric, column, arguments, comparisons, consequence, refusals)
    if refusals.problems or check is None:
        return Translation(problems=tuple(refusals.problems))
    return Translation(checks=(check,))


def _check(
    quality: DataQuality,
    metric: str,
    column: str | None,
    arguments: dict[str, Any],
    comparisons: tuple[Comparison, ...],
    consequence: Consequence,
    refusals: Refusals,
) -> Check | None:
    subject = column or "rows"
    unit = "percent of rows" if quality.unit == "percent" else "rows"
    amount = " and ".join(str(comparison) for comparison in comparisons)
    shared: dict[str, Any] = {
        "name": quality.name or quality.id or f"{subject}.{metric}",
        "severity": consequence.severity,
        "allowed_percent": consequence.allowed_percent,
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
            return told(
                CheckKind.NOT_NULL, f"without {subject}", columns, f"fill in {subject}", view=View.TYPE
            )
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
