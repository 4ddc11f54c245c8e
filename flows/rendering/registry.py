"""Models and promotions on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_contracts.records.registry import Alias, ModelVersion, PromotionOutcome, PromotionReport
from data_contracts.records.retraining import DriftOutcome, RetrainingOutcome, RetrainingReport
from flows.rendering.runs import print_decisions, print_report
from tasks.audit.models import ModelEntry

_STYLES = {Alias.CHAMPION: "bold green", Alias.CHALLENGER: "yellow", Alias.ANCHOR: "cyan"}


def print_models(entries: Sequence[ModelEntry], output: Path) -> None:
    console = Console()
    if not entries:
        console.print(f"No model was promoted in {output}. `lorafirst promote RUN` makes the first champion.")
        return
    table = Table(box=None, header_style="bold")
    for name in ("model", "version", "alias", "run", "artifact", "score", "champion since", "by"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        for each in reversed(entry.versions):
            table.add_row(*_cells(each))
    console.print(table)
    for entry in entries:
        for warning in entry.warnings:
            console.print(Text.assemble(("! ", "yellow"), f"{entry.model}: {warning}"), soft_wrap=True)


def print_promotion(report: PromotionReport) -> None:
    console = Console()
    if report.decision is not None:
        print_decisions(console, (report.decision,))
    style = "green" if report.outcome is PromotionOutcome.PROMOTED else "yellow"
    line = Text.assemble("\n", (report.outcome.value, f"bold {style}"), f"  {report.sentence}")
    console.print(line, soft_wrap=True)
    if report.folder is not None:
        console.print(Text(f"decided on  {report.folder}"), soft_wrap=True)


def _cells(version: ModelVersion) -> list[Text]:
    candidate, crowned = version.candidate, version.crowned
    aliases = Text(", ").join(Text(each.value, _STYLES[each]) for each in version.aliases)
    if version.withdrawn is not None:
        aliases = Text("rolled back from", "red")
    return [
        Text(candidate.model),
        Text(str(version.version)),
        aliases,
        Text(candidate.run_id),
        Text(candidate.artifact),
        Text("" if crowned is None else f"{candidate.metric} {crowned.score}"),
        Text("" if crowned is None else f"{crowned.at[:16].replace('T', ' ')} UTC"),
        Text("" if crowned is None else crowned.by),
    ]


def print_retraining(report: RetrainingReport) -> None:
    console = Console()
    if report.run is not None:
        print_report(report.run)
    if report.promotion is not None:
        print_promotion(report.promotion)
        return
    calm = report.outcome in (RetrainingOutcome.SKIPPED, RetrainingOutcome.AWAITING_APPROVAL)
    style = "yellow" if calm else "red"
    line = Text.assemble("\n", (report.outcome.value, f"bold {style}"), f"  {report.sentence}")
    console.print(line, soft_wrap=True)


def print_drift(found: DriftOutcome) -> None:
    console = Console()
    findings = found.findings
    if findings is None:
        console.print(f"{found.model} has no champion to compare with. `lorafirst promote RUN` makes one.")
        return
    lines = [f"champion   version {findings.champion_version}, of run {findings.champion_run}"]
    if findings.arrivals is not None:
        arrivals = findings.arrivals
        lines.append(
            f"rows       {arrivals.rows_new:,} new and {arrivals.rows_gone:,} gone beside "
            f"{arrivals.rows_before:,}"
        )
        figures = arrivals.drift.figures if arrivals.drift is not None else ()
        lines += [f"{figure.aspect.value:<10} {figure}" for figure in figures]
    scores = findings.fresh
    lines.append(
        f"scores     not taken: {findings.not_scored}"
        if scores is None
        else f"scores     {scores.metric.name} {scores.fresh} on {scores.fresh.rows:,} fresh rows, "
        f"{scores.promoted} at promotion"
    )
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    for sign in found.signs or ("Nothing drifted.",):
        style = "yellow" if found.signs else "green"
        console.print(Text.assemble(("◆ ", style), sign), soft_wrap=True)
