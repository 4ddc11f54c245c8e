"""What a person sees on the terminal."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import Cost
from data_contracts.records.decision import Decision, Gate, Outcome, RunReport, Verdict
from data_contracts.records.snapshot import ContractRule
from tasks.audit.overview import RunEntry, RunView, broken_rules
from tasks.audit.signed import signature_note
from tasks.evidence.dossier import Dossier

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}
_MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


class TerminalListener:
    """One line per stage as it ends, and a bar while it works."""

    def __init__(self) -> None:
        self._console = Console()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting Prefect", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def run_started(self, run_id: str, resumed: bool) -> None:
        self._console.print(f"[bold]{run_id}[/bold]" + (" goes on after an interruption" if resumed else ""))
        self._working("base model")

    def progressed(self, done: int, total: int, what: str) -> None:
        self._bar.update(self._task, description=what, completed=done, total=total)

    def noted(self, sentence: str) -> None:
        self._console.print(Text.assemble(("! ", "yellow"), sentence), soft_wrap=True)

    def stage_ended(self, stage: str, line: str, cost: Cost | None, reused: bool) -> None:
        took = "reused" if reused else f"{cost.seconds:,.1f} s" if cost else ""
        self._console.print(
            Text.assemble(("✓ ", "green"), f"{stage:<15} {line}  ", (took, "dim")), soft_wrap=True
        )
        self._working("")

    def decided(self, decision: Decision) -> None:
        style = _STYLES[decision.verdict]
        self._console.print(
            Text.assemble(
                ("◆ ", style),
                f"{'gate ' + decision.gate.value:<15} ",
                (decision.verdict.value, f"bold {style}"),
                f"  {decision.sentence}",
            ),
            soft_wrap=True,
        )
        self._working("")

    def _working(self, what: str) -> None:
        self._bar.update(self._task, description=what or "working", completed=0, total=None)


def print_report(report: RunReport) -> None:
    console = Console()
    print_decisions(console, report.decisions)
    if report.outcome is Outcome.DATA_REJECTED:
        try:
            _print_broken_rules(console, broken_rules(Path(report.dossier)))
        except ArtifactDamagedError as error:
            _say(console, Text(str(error), style="red"))
    style = "green" if report.outcome.accepted else "yellow"
    _say(console, Text.assemble("\n", (report.outcome.value, f"bold {style}"), f"  {report.sentence}"))
    if report.accepted_artifact:
        _say(console, Text(f"model    {report.dossier}/{report.accepted_artifact}"))
    _say(console, Text(f"dossier  {report.dossier}"))
    _say(console, Text(f"         {signature_note(Dossier(Path(report.dossier)))}", style="dim"))
    console.print(
        f"[dim]{report.seconds:,.0f} s, peak memory {report.peak_memory_bytes / 2**30:.1f} GiB[/dim]"
    )


def print_view(view: RunView) -> None:
    console = Console()
    console.print(
        f"[bold]{view.run_id}[/bold]  asked by {view.requested_by} at {view.requested_at:%Y-%m-%d %H:%M} UTC"
    )
    for line in view.stages:
        _say(console, Text(f"  {line}"))
    if view.report is None:
        print_decisions(console, view.decisions)
        console.print(
            "\n[yellow]not ended[/]  Start it again with the same command; it goes on where it was."
        )
        return
    print_report(view.report.model_copy(update={"dossier": view.dossier}))


def print_runs(entries: Sequence[RunEntry], output: Path) -> None:
    console = Console()
    if not entries:
        console.print(f"No runs in {output}. Start one with `lorafirst run CONFIG`.")
        return
    for entry in entries:
        outcome = entry.outcome.value if entry.outcome else "not ended"
        asked = f"asked {entry.requested_at:%Y-%m-%d %H:%M} UTC by {entry.requested_by}"
        signed = "" if entry.signed else ", unsigned"
        line = Text.assemble((entry.run_id, "bold"), f"  {outcome}  ", (f"{asked}{signed}", "dim"))
        # What is typed again must not be cut, however narrow the terminal.
        console.print(line, soft_wrap=True)
        _say(console, Text(f"  {entry.sentence}"))


def print_decisions(console: Console, decisions: Sequence[Decision]) -> None:
    table = Table(title="Decisions", title_justify="left", header_style="bold", expand=False)
    for column in ("gate", "rule", "observed", "threshold", "verdict"):
        table.add_column(column, overflow="fold")
    for decision in decisions:
        if decision.gate is Gate.CONTRACT and decision.verdict is Verdict.PASS:
            # A contract has many rules; once all hold they are one line here and all in `--json`.
            held = f"{len(decision.rules)} rules"
            said = Text(decision.sentence)
            table.add_row("contract", held, said, "all hold", Text("✓ pass", style="green"))
            table.add_section()
            continue
        for index, rule in enumerate(decision.rules):
            style = _STYLES[rule.verdict]
            table.add_row(
                decision.gate.value if index == 0 else "",
                Text(rule.name),
                Text(rule.observed),
                Text(rule.threshold),
                Text(f"{_MARKS[rule.verdict]} {rule.verdict.value}", style=style)
                if rule.decides
                else Text(f"({rule.verdict.value})", style="dim"),
            )
        table.add_section()
    console.print()
    console.print(table)


def _print_broken_rules(console: Console, rules: Sequence[ContractRule]) -> None:
    for rule in rules:
        places = "; ".join(rule.examples) or "the whole data set"
        unseen = rule.broken_rows - len(rule.examples)
        more = f" and {unseen:,} more" if unseen > 0 else ""
        _say(console, Text.assemble("\n", ("✗ ", "red"), (rule.name, "red"), f"  {places}{more}"))
        _say(console, Text(f"    expected: {rule.expected}"))
        _say(console, Text(f"    found:    {rule.observed}"))
        _say(console, Text(f"    to do:    {rule.remedy}"))


def _say(console: Console, text: Text) -> None:
    """One line as it is: not wrapped, so that paths stay whole, and with nothing in it read as markup."""
    console.print(text, soft_wrap=True)
