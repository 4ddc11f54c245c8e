"""Quality entries that ask for a rule of our own.

- type: custom
  engine: lorafirst
  implementation: {rule: near_duplicates, similarity: 0.85}
  customProperties: [{property: lorafirst.severity, value: quarantine}]
"""

from collections.abc import Mapping
from typing import Any

from open_data_contract_standard.model import DataQuality

from data_contracts.records.snapshot import RuleSeverity
from tasks.data.contracts.checks import NONE_BROKEN, Check, CheckKind, Scope
from tasks.data.contracts.odcs_parts import (
    Consequence,
    Refusals,
    Translation,
    comparisons_of,
    consequence_of,
    nearest,
    severity_key,
)
from tasks.data.contracts.rule_catalogue import CATALOGUE, CatalogueRule

ENGINE = "lorafirst"

_STRENGTH = (RuleSeverity.WARNING, RuleSeverity.QUARANTINE, RuleSeverity.BLOCKING)


def custom_check(
    quality: DataQuality, *, column: str | None, default: Consequence, where: str
) -> Translation:
    """The check of a ``type: custom`` entry, on ``column`` or, where that is ``None``, on all content."""
    refusals = Refusals(where)
    if quality.engine != ENGINE:
        refusals.add(
            "engine", expected=ENGINE, found=repr(quality.engine), remedy="other engines are not run here"
        )
    given = quality.implementation
    written: Mapping[str, Any] = {"rule": given} if isinstance(given, str) else given or {}
    name = written.get("rule")
    if name not in CATALOGUE:
        refusals.add(
            "implementation.rule",
            expected=", ".join(CATALOGUE),
            found=repr(name),
            remedy=nearest(name, tuple(CATALOGUE), "choose one of these"),
        )
        return Translation(problems=tuple(refusals.problems))
    check = _check(str(name), CATALOGUE[str(name)], written, quality, column, default, refusals)
    return Translation(problems=tuple(refusals.problems)) if refusals.problems else Translation((check,))


def catalogue_check(
    rule: str, *, arguments: Mapping[str, object] | None = None, severity: RuleSeverity | None = None
) -> Check:
    """The rule as the pipeline itself asks for it, with the catalogue's own values where none are given."""
    entry = CATALOGUE[rule]
    values = {**{name: argument.default for name, argument in entry.arguments.items()}, **(arguments or {})}
    return _of(rule, entry, values, severity=severity or entry.severity)


def _check(
    rule: str,
    entry: CatalogueRule,
    written: Mapping[str, Any],
    quality: DataQuality,
    column: str | None,
    default: Consequence,
    refusals: Refusals,
) -> Check:
    if column is not None and not entry.on_columns:
        refusals.add(
            "implementation.rule",
            expected="a rule about single texts",
            found=f"{rule}, which is about whole rows",
            remedy="write it under the schema's own quality",
        )
    own = consequence_of(quality.customProperties, refusals, severity=severity_key(quality, refusals))
    wanted = own.over(default).over(Consequence(entry.severity))
    severity = wanted.severity or entry.severity
    if _STRENGTH.index(severity) < _STRENGTH.index(entry.weakest):
        refusals.add(
            "customProperties",
            expected=f"{entry.weakest} or more for {rule}",
            found=str(severity),
            remedy="such rows cannot be kept; put them aside at least",
        )
    comparisons = comparisons_of(quality, refusals)
    if comparisons and entry.scope is Scope.TABLE:
        refusals.add(
            "",
            expected=f"no comparison for {rule}",
            found=", ".join(comparison.operator for comparison in comparisons),
            remedy=f"set its arguments instead: {', '.join(entry.arguments) or 'it has none'}",
        )
    return _of(
        rule,
        entry,
        _arguments(entry, written, refusals),
        severity=severity,
        allowed_percent=wanted.allowed_percent if severity is RuleSeverity.QUARANTINE else None,
        name=quality.name or quality.id or (rule if column is None else f"{column}.{rule}"),
        columns=() if column is None else (column,),
        comparisons=comparisons or (NONE_BROKEN,),
        in_percent=quality.unit == "percent",
        **({"requirement": quality.description.strip()} if quality.description else {}),
    )


def _of(
    rule: str, entry: CatalogueRule, arguments: Mapping[str, object], *, severity: RuleSeverity, **given: Any
) -> Check:
    shown = {key: f"{value:g}" if isinstance(value, float) else value for key, value in arguments.items()}
    told = {
        "name": rule,
        "columns": (),
        "expected": entry.expected.format_map(_Shown(shown)),
        "requirement": entry.requirement.format_map(_Shown(shown)),
        **given,
    }
    return Check(
        kind=CheckKind.RULE,
        rule=rule,
        scope=entry.scope,
        severity=severity,
        remedy=entry.remedy,
        arguments=arguments,
        **told,
    )


class _Shown(dict[str, object]):
    """Leaves a value that is known only when the rule is run as its name."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _arguments(entry: CatalogueRule, written: Mapping[str, Any], refusals: Refusals) -> dict[str, object]:
    values: dict[str, object] = {name: argument.default for name, argument in entry.arguments.items()}
    for key, value in written.items():
        if key == "rule":
            continue
        argument = entry.arguments.get(key)
        if argument is None:
            known = tuple(entry.arguments)
            refusals.add(
                f"implementation.{key}",
                expected=", ".join(known) or "no arguments",
                found=key,
                remedy=nearest(key, known, "remove it"),
            )
        elif isinstance(value, bool) or not isinstance(value, int | float) or not (
            argument.low <= value <= argument.high
        ):  # fmt: skip
            refusals.add(
                f"implementation.{key}",
                expected=f"a number from {argument.low:g} to {argument.high:g}",
                found=repr(value),
                remedy="write such a number",
            )
        else:
            values[key] = float(value) if isinstance(argument.default, float) else value
    for key, value in values.items():
        if value is None:
            refusals.add(f"implementation.{key}", expected="a number", found="nothing", remedy=f"set {key}")
    return values
