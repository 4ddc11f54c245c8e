"""A first contract from data: what was observed, written as rules that this very data keeps.

Comments hold the observed values, so that whoever tightens a limit sees what it was taken from.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from data_contracts.records.base import digest_bytes
from data_contracts.records.snapshot import ContractEvidence
from tasks.data.checking.contract import Contract
from tasks.data.contracts.odcs_custom import catalogue_check
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.rows.columns import Form
from tasks.data.rules.withholding import private
from tasks.data.snapshot.summaries import ColumnSummary, RowSummary

_MOST_ENUM = 50
"""More labels than these are counted in a comment, and not written as the allowed set."""


@dataclass(frozen=True)
class DraftSource:
    """Where the drafted rules come from."""

    name: str
    """What the user called the data."""
    command: str
    """The command that checks this data against the draft, without the draft's own path."""
    notes: tuple[str, ...]
    """What was understood about the data without being said."""


def own_rules(form: Form) -> Contract:
    """A contract of lorafirst's own rules for rows of ``form``, less those that need a tokenizer."""
    names = [name for name, rule in CATALOGUE.items() if form in rule.forms and not rule.needs_tokenizer]
    return Contract(name="draft", digest=digest_bytes(b""), checks=tuple(map(catalogue_check, names)))


def draft_contract(summary: RowSummary, found: ContractEvidence, source: DraftSource) -> str:
    """An ODCS 3 document in YAML that can be loaded, and that the summarised rows satisfy.

    ``found`` is what ``own_rules`` found in them.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-") or "data"
    lines = [
        f"# Drafted by lorafirst from {_comment(source.name)}: {summary.rows:,} rows.",
        "# Comments say what was observed. No rule stops that data; some put rows aside, or warn. Tighten",
        "# what is too generous, delete what does not matter, describe what nobody sees in rows, then check:",
        f"#   {_comment(source.command)}",
        *(f"# {_comment(note)}" for note in source.notes),
        "version: 0.1.0",
        "kind: DataContract",
        "apiVersion: v3.1.0",
        f"id: {slug}",
        f"name: {_quoted(source.name)}",
        "status: draft",
        "description:",
        "  purpose: To be written. What shall a model learn from these rows?",
        "  limitations: To be written. Who is missing from them, and what may they not be used for?",
        "  usage: To be written. Where do they come from, and who may use them?",
        "schema:",
        "  - name: rows",
        "    quality:",
        *_indented(_table_rules(summary, found.rows_accepted), 6),
        *_indented(_own_rules(summary.form, found), 6),
        "    properties:",
    ]
    for column in summary.columns:
        lines += _indented(
            _property(column, is_label=summary.form is Form.CLASSIFICATION and column.name == "label"), 6
        )
    if summary.form is Form.MESSAGES:
        lines += _indented(_turn_rules(summary), 6)
    return "\n".join(lines) + "\n"


def _turn_rules(summary: RowSummary) -> Iterator[str]:
    if summary.malformed:
        yield f"# {summary.malformed:,} conversations have blank turns or roles out of order. The rules:"
    else:
        yield "# Observed: in every conversation no turn is blank, and user and assistant alternate."
    mark = "# " if summary.malformed else ""
    for name, rule in (("turns_well_formed", "turns_well_formed"), ("role_order_ok", "role_order")):
        yield f"{mark}- name: {name}"
        yield f"{mark}  logicalType: boolean"
        yield f"{mark}  quality:"
        for line in _entry(rule, "invalidValues", ["arguments: {validValues: [true]}", "mustBe: 0"]):
            yield f"{mark}    {line}"


def _own_rules(form: Form, found: ContractEvidence) -> Iterator[str]:
    yield "# Rules of lorafirst's own, each with what a broken one does and what was observed."
    asked = {check.name for check in own_rules(form).checks}
    for rule in found.rules:
        if rule.name in asked:
            yield f"- {{type: custom, engine: lorafirst, implementation: {rule.name}}}"
            yield f"  # {rule.severity.value}; observed: {_comment(rule.observed)}."


def _table_rules(summary: RowSummary, accepted: int) -> Iterator[str]:
    # Judged on what is accepted: what other rules put aside has gone before.
    fewest = _rounded_down(accepted * 9 // 10)
    share = 100 * summary.repeats / summary.rows
    names = ", ".join(column.name for column in summary.columns)
    yield f"# Observed: {accepted:,} rows accepted, each once. With far fewer, an export broke."
    yield from _entry("rows_expected", "rowCount", [f"mustBeGreaterOrEqualTo: {max(1, fewest)}"])
    yield f"# Observed: {summary.repeats:,} rows repeat an earlier one ({share:.1f} %), which is kept."
    most = min(100, int(share) + 2) if summary.repeats else 1
    yield from _entry(
        "repeats",
        "duplicateValues",
        [f"arguments: {{properties: [{names}]}}", "unit: percent", f"mustBeLessOrEqualTo: {most}"],
        severity="warning",
    )


def _property(column: ColumnSummary, *, is_label: bool) -> Iterator[str]:
    yield f"- name: {column.name}"
    yield f"  # Observed: {_types(column)}; {column.nulls:,} null, {column.blanks:,} blank."
    kinds = {kind for kind, _ in column.types}
    if len(kinds) == 1:
        yield f"  logicalType: {next(iter(kinds))}"
    elif len(kinds) > 1:
        yield "  # No logicalType: several were found. Mend the data, then set one."
    if not column.nulls:
        yield "  required: true"
    if is_label:
        pass  # what it may be is listed below
    elif column.lengths is not None and kinds == {"string"}:
        yield from _limits(column)
    elif column.lengths is not None:
        yield f"  # {_lengths(column)}, all turns together."
    if column.nulls:
        yield "  quality:"
        most = f"mustBeLessOrEqualTo: {column.nulls}"
        yield from _indented(_entry(f"{column.name}_nulls", "nullValues", [most]), 4)
    if is_label:
        yield from _labels(column)


def _limits(column: ColumnSummary) -> Iterator[str]:
    lengths = column.lengths
    assert lengths is not None
    yield f"  # {_lengths(column)}."
    yield "  logicalTypeOptions:"
    if column.blanks:
        yield f"    # minLength: 1 would reject {column.blanks:,} blank rows; add it when they are mended."
    else:
        yield "    minLength: 1"
    yield f"    maxLength: {_rounded_up(max(1, lengths.longest))}"


def _lengths(column: ColumnSummary) -> str:
    lengths = column.lengths
    assert lengths is not None
    return (
        f"Observed: {lengths.shortest:,} to {lengths.longest:,} characters, median {lengths.median:,}, "
        f"95 % up to {lengths.long:,}"
    )


def _labels(column: ColumnSummary) -> Iterator[str]:
    total = sum(count for _, count in column.values or ())
    if column.values is None or len(column.values) > _MOST_ENUM:
        count = "more than 200" if column.values is None else f"{len(column.values)}"
        yield f"  # Observed: {count} distinct values. Is this the label? Then list the allowed ones as enum."
        return
    hidden = sum(private([value for value, _ in column.values]))
    if hidden:
        yield f"  # Observed: {len(column.values)} distinct values. {hidden} look like personal data or"
        yield "  # secrets, so that none is listed. Mend the data, then draft anew."
        return
    yield f"  # Observed: {len(column.values)} labels."
    yield "  enum:"
    width = max((len(_quoted(value)) for value, _ in column.values), default=0)
    for value, rows in column.values:
        yield f"    - value: {_quoted(value):<{width}}  # {rows:,} rows, {100 * rows / total:.1f} %"


def _types(column: ColumnSummary) -> str:
    listed = ", ".join(f"{count:,} of type {kind}" for kind, count in column.types)
    return listed or "no value at all"


def _entry(name: str, metric: str, more: list[str], severity: str = "") -> Iterator[str]:
    yield f"- name: {name}"
    yield "  type: library"
    yield f"  metric: {metric}"
    for line in more:
        yield f"  {line}"
    if severity:
        yield f"  severity: {severity}"


def _indented(lines: Iterator[str], spaces: int) -> list[str]:
    return [" " * spaces + line for line in lines]


def _comment(text: str) -> str:
    """Nothing in it can end the comment."""
    return " ".join(text.split())


def _quoted(text: str) -> str:
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31)
    return written.rstrip("\n")


def _rounded_up(value: int) -> int:
    """To two digits: 1,234 becomes 1,300."""
    power: int = 10 ** max(0, len(str(value)) - 2)
    return -(-value // power) * power


def _rounded_down(value: int) -> int:
    power: int = 10 ** max(0, len(str(value)) - 2)
    return value // power * power
