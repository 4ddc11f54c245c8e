"""What the ``contract`` commands print for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_contracts.records.contract_reports import Change, ContractComparison, ContractReport, RuleChange
from data_contracts.records.snapshot import ContractRule, RuleSeverity
from tasks.data.pages.places import told_places

_BROKEN = {
    RuleSeverity.BLOCKING: ("✗ broken", "red"),
    RuleSeverity.QUARANTINE: ("! put aside", "yellow"),
    RuleSeverity.WARNING: ("! warning", "yellow"),
}
_CHANGES = {
    Change.ADDED: ("+", "yellow"),
    Change.REMOVED: ("-", "yellow"),
    Change.TIGHTENED: ("▲", "red"),
    Change.LOOSENED: ("▼", "green"),
    Change.CHANGED: ("~", "yellow"),
}


def print_check(report: ContractReport) -> None:
    """Every rule in a table; below it where each broken one is broken and what to do; the verdict last."""
    console = Console()
    evidence = report.evidence
    for note in report.notes:
        console.print(Text(note, style="dim"))
    _say(console, Text(evidence.contract_name, style="bold"))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rule", overflow="fold", min_width=_longest(evidence.rules))
    table.add_column("if broken", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    for rule in evidence.rules:
        table.add_row(*_cells(rule))
    console.print(table)
    for rule in evidence.rules:
        if not rule.passed:
            _print_broken(console, rule)
    style = "green" if report.passed else "red"
    console.print()
    _say(
        console,
        Text.assemble(("passed" if report.passed else "broken", f"bold {style}"), f"  {report.sentence}"),
    )


def print_comparison(compared: ContractComparison) -> None:
    """The rules that differ, and the rows that are judged otherwise."""
    console = Console()
    for note in compared.notes:
        console.print(Text(note, style="dim"))
    if not compared.rules:
        _say(console, Text(f"{compared.old} and {compared.new} ask the same."))
    for change in compared.rules:
        _print_change(console, change)
    if compared.rows is None:
        console.print(Text("\nWhich rows that concerns: name data with --data.", style="dim"))
        return
    for count, places, what in (
        (compared.rows.newly_rejected, compared.rows.rejected_places, "newly rejected"),
        (compared.rows.newly_accepted, compared.rows.accepted_places, "newly accepted"),
    ):
        _say(console, Text.assemble("\n", (f"{count:,} rows {what}", "bold")))
        for place in places:
            _say(console, Text(f"    {place}"))
        if count > len(places):
            _say(console, Text(f"    and {count - len(places):,} more"))


def _cells(rule: ContractRule) -> list[Text | str]:
    if rule.passed:
        allowed = f"{rule.broken_rows:,}" if rule.broken_rows else ""
        return [Text(rule.name), rule.severity.value, Text("✓ holds", style="green"), allowed]
    mark, style = _BROKEN[rule.severity]
    return [
        Text(rule.name, style=style),
        rule.severity.value,
        Text(mark, style=style),
        f"{rule.broken_rows:,}" if rule.broken_rows else "",
    ]


def _longest(rules: Sequence[ContractRule]) -> int:
    return min(32, max((len(rule.name) for rule in rules), default=4))


def _print_broken(console: Console, rule: ContractRule) -> None:
    _, style = _BROKEN[rule.severity]
    _say(console, Text.assemble("\n", (f"{rule.name}", f"bold {style}"), f"  {rule.severity.value}"))
    _say(console, Text(f"    expected: {rule.expected}"))
    _say(console, Text(f"    found:    {rule.observed}"))
    if rule.examples:
        _say(console, Text(f"    where:    {told_places(rule.examples, rule.broken_rows)}"))
    _say(console, Text(f"    to do:    {rule.remedy}"))


def _print_change(console: Console, change: RuleChange) -> None:
    mark, style = _CHANGES[change.change]
    _say(console, Text.assemble((f"{mark} {change.change.value:<10}", style), (change.name, "bold")))
    for word, asked in (("was", change.old), ("is", change.new)):
        if asked:
            _say(console, Text(f"    {word + ':':<5}{asked}"))


def _say(console: Console, text: Text) -> None:
    """One line as it is: not wrapped, and with nothing in it read as markup."""
    console.print(text, soft_wrap=True)
