"""From an ODCS 3 document to checks. What cannot be run is refused, never skipped in silence."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pydantic
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)

from data_contracts.errors import Problem
from data_contracts.records.snapshot import RuleSeverity
from tasks.data.contracts.checks import Check, CheckKind, View
from tasks.data.contracts.odcs_parts import Consequence, Refusals, Translation, consequence_of, nearest
from tasks.data.contracts.odcs_quality import quality_check, require_pattern
from tasks.data.contracts.pipeline_rules import rule_names

_TYPES = {
    "string": ("string",),
    "integer": ("integer",),
    "number": ("number", "integer"),
    "boolean": ("boolean",),
    "array": ("array",),
    "object": ("object",),
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
}
_UNENFORCED = ("relationships", "properties", "items", "map")
"""Parts that state constraints which nothing here runs."""


def translate(document: OpenDataContractStandard, raw: dict[str, Any], known: Sequence[str]) -> Translation:
    """Checks for every rule of the document's one table, whose columns must be among ``known``."""
    tables = document.schema_ or []
    if len(tables) != 1:
        refusals = Refusals("schema")
        refusals.add(
            "", expected="one table", found=f"{len(tables)} tables", remedy="describe the rows in one"
        )
        return Translation(problems=tuple(refusals.problems))
    problems = [*_unknown_keys(raw["schema"][0], SchemaObject, "schema[0]")]
    checks: list[Check] = []
    parts = [_table(tables[0])]
    parts += [
        _property(entry, f"schema[0].properties[{i}]", known)
        for i, entry in enumerate(tables[0].properties or ())
    ]
    for part in parts:
        checks.extend(part.checks)
        problems.extend(part.problems)
    problems.extend(_unknown_columns(checks, known))
    return Translation(_uniquely_named(checks), tuple(problems))


def _table(table: SchemaObject) -> Translation:
    refusals = Refusals("schema[0]")
    if table.relationships:
        _refuse_unenforced("relationships", refusals)
    default = consequence_of(table.customProperties, refusals)
    return _qualities(table.quality, None, default, "schema[0]", refusals)


def _qualities(
    entries: list[DataQuality] | None,
    column: str | None,
    default: Consequence,
    where: str,
    refusals: Refusals,
) -> Translation:
    parts = [
        quality_check(entry, column=column, default=default, where=f"{where}.quality[{index}]")
        for index, entry in enumerate(entries or ())
    ]
    return Translation(
        tuple(check for part in parts for check in part.checks),
        (*refusals.problems, *(problem for part in parts for problem in part.problems)),
    )


def _property(entry: SchemaProperty, where: str, known: Sequence[str]) -> Translation:
    refusals = Refusals(where)
    name = entry.name or ""
    if name not in known:
        refusals.add(
            "name",
            expected=f"one of the columns {', '.join(known)}",
            found=repr(entry.name),
            remedy=nearest(
                name, known, "columns go by these names, whatever the file calls them; data.columns maps them"
            ),
        )
    for part in _UNENFORCED:
        if getattr(entry, part):
            _refuse_unenforced(part, refusals)
    own = consequence_of(entry.customProperties, refusals)
    told = own.over(Consequence(RuleSeverity.BLOCKING))
    severity = told.severity or RuleSeverity.BLOCKING
    checks = [
        dataclasses.replace(check, severity=severity, allowed_percent=told.allowed_percent)
        for check in (
            *_presence(entry, name),
            *_type(entry, name, refusals),
            *_options(entry, name, refusals),
        )
    ]
    quality = _qualities(entry.quality, name, own, where, refusals)
    return Translation((*checks, *quality.checks), quality.problems)


def _refuse_unenforced(part: str, refusals: Refusals) -> None:
    refusals.add(
        part,
        expected="rules that can be run here",
        found=f"{part}, which would go unchecked",
        remedy="remove it; conversations are checked through turns_well_formed, role_order_ok and "
        "assistant_turns",
    )


def _presence(entry: SchemaProperty, name: str) -> Iterator[Check]:
    if entry.required or entry.primaryKey:
        yield Check(
            name=f"{name}.required",
            kind=CheckKind.NOT_NULL,
            columns=(name,),
            view=View.TYPE,
            expected=f"a value for {name}",
            requirement=f"Every row must have a {name}.",
            remedy=f"fill in {name}, or delete the rows without it",
        )
    if entry.unique or entry.primaryKey:
        yield Check(
            name=f"{name}.unique",
            kind=CheckKind.UNIQUE,
            columns=(name,),
            expected=f"a {name} that no other row has",
            requirement=f"No two rows may have the same {name}.",
            remedy="remove or merge the repeated rows",
        )
    if entry.enum:
        values = tuple(value.value for value in entry.enum)
        listed = ", ".join(str(value) for value in values)
        yield Check(
            name=f"{name}.enum",
            kind=CheckKind.IN_SET,
            columns=(name,),
            values=values,
            expected=f"one of {listed}",
            requirement=f"Every {name} must be one of {listed}.",
            remedy=f"correct {name} in the rows named, or add the value to the contract's enum",
        )


def _type(entry: SchemaProperty, name: str, refusals: Refusals) -> Iterator[Check]:
    kind = entry.logicalType
    if kind is None:
        return
    if kind not in _TYPES:
        refusals.add(
            "logicalType", expected=", ".join(_TYPES), found=repr(kind), remedy="choose one of these"
        )
        return
    yield Check(
        name=f"{name}.type",
        kind=CheckKind.IN_SET,
        columns=(name,),
        view=View.TYPE,
        values=_TYPES[kind],
        expected=f"{name} of type {kind}",
        requirement=f"Every {name} must be of type {kind}.",
        remedy=f"write {name} as {kind} in the rows named",
    )


def _options(entry: SchemaProperty, name: str, refusals: Refusals) -> Iterator[Check]:
    options = entry.logicalTypeOptions or {}
    allowed = _OPTIONS.get(entry.logicalType or "", ())
    for key in options:
        if key not in allowed:
            refusals.add(
                f"logicalTypeOptions.{key}",
                expected=", ".join(allowed) or f"no options for logicalType {entry.logicalType}",
                found=key,
                remedy=nearest(key, allowed, "remove it, or set the logicalType it belongs to"),
            )
    for low, high, kind, view, noun in (
        ("minLength", "maxLength", CheckKind.BETWEEN, View.LENGTH, "characters"),
        ("minimum", "maximum", CheckKind.BETWEEN, View.NUMBER, ""),
    ):
        limits = {key: options[key] for key in (low, high) if key in options and key in allowed}
        if _all_numbers(limits, refusals):
            for key, limit in limits.items():
                yield _limit(name, key, limit, kind, view, noun, at_least=key == low)
    if "pattern" in options and "pattern" in allowed:
        pattern = options["pattern"]
        require_pattern(pattern, "logicalTypeOptions.pattern", refusals)
        yield Check(
            name=f"{name}.pattern",
            kind=CheckKind.PATTERN,
            columns=(name,),
            pattern=str(pattern),
            expected=f"{name} that matches {pattern}",
            requirement=f"Every {name} must match the pattern {pattern}.",
            remedy=f"correct {name} in the rows named",
        )


def _all_numbers(limits: dict[str, Any], refusals: Refusals) -> bool:
    wrong = [
        key for key, value in limits.items() if isinstance(value, bool) or not isinstance(value, int | float)
    ]
    for key in wrong:
        refusals.add(
            f"logicalTypeOptions.{key}", expected="a number", found=repr(limits[key]), remedy="write a number"
        )
    return not wrong


def _limit(
    name: str, key: str, limit: float, kind: CheckKind, view: View, noun: str, *, at_least: bool
) -> Check:
    amount = f"at {'least' if at_least else 'most'} {limit:g}" + (f" {noun}" if noun else "")
    return Check(
        name=f"{name}.{key}",
        kind=kind,
        columns=(name,),
        view=view,
        minimum=limit if at_least else None,
        maximum=None if at_least else limit,
        expected=f"{name} of {amount}",
        requirement=f"Every {name} must be of {amount}" + (", white space around it aside." if noun else "."),
        remedy=f"correct or delete the rows named, or change {key} in the contract",
    )


def _unknown_columns(checks: Sequence[Check], known: Sequence[str]) -> Iterator[Problem]:
    for check in checks:
        if check.kind is CheckKind.UNIQUE_TOGETHER:
            for column in check.columns:
                if column not in known:
                    yield Problem(
                        where=f"rule {check.name}, arguments.properties",
                        expected=f"columns among {', '.join(known)}",
                        found=repr(column),
                        remedy="name columns by these names",
                    )


def _uniquely_named(checks: Sequence[Check]) -> tuple[Check, ...]:
    # The pipeline's own rules count as taken: what a contract says must not be mistaken for their verdict.
    counts: Counter[str] = Counter(rule_names())
    named = []
    for check in checks:
        if check.rule == check.name:
            # Here the contract speaks of that very rule, in place of the pipeline.
            counts[check.name] = min(counts[check.name], counts[f"asked:{check.name}"])
            counts[f"asked:{check.name}"] += 1
        counts[check.name] += 1
        count = counts[check.name]
        named.append(check if count == 1 else dataclasses.replace(check, name=f"{check.name}-{count}"))
    return tuple(named)


def _unknown_keys(raw: Any, model: type[pydantic.BaseModel], where: str) -> Iterator[Problem]:
    """Keys that ODCS does not have; its model ignores them, and with them a misspelt rule."""
    if not isinstance(raw, dict):
        return
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    for key in raw:
        if key not in names:
            yield Problem(
                where=f"{where}.{key}",
                expected="a key of ODCS 3",
                found=repr(key),
                remedy=nearest(key, tuple(names), "remove it, or put it under customProperties"),
            )
    nested: dict[str, type[pydantic.BaseModel]] = {
        "properties": SchemaProperty,
        "quality": DataQuality,
        "customProperties": CustomProperty,
    }
    for key, inner in nested.items():
        for index, entry in enumerate(raw.get(key) or ()):
            yield from _unknown_keys(entry, inner, f"{where}.{key}[{index}]")
