"""What people see of a run in Prefect's UI: the decision table, learning curves, the outcome.

These are views. The dossier is the record, and each artifact says where in it to look.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

from data_contracts.records.decision import Decision, RuleResult, RunReport
from data_contracts.records.evidence import CurvePoint
from tasks.audit.explanation import Explanation
from tasks.audit.explanation_markdown import MARKS, explanation_markdown
from tasks.data.pages.datasheet_files import DATASHEET_MARKDOWN
from tasks.stages.curves import CURVE_PICTURE
from tasks.stages.showing import shown
from tasks.stages.watching import artifact_key


def show_decision(decision: Decision) -> None:
    """One gate's rules as a markdown artifact of the current task."""
    _show(artifact_key("gate", decision.gate.value), decision_markdown(decision), decision.sentence)


def show_curve(rung: str, curve: Sequence[CurvePoint], stored: Path) -> None:
    """The learning curve as a markdown artifact: the picture, and the figures under it."""
    picture = base64.b64encode((stored / CURVE_PICTURE).read_bytes()).decode("ascii")
    lines = [
        f"# Learning curve of {rung}",
        f"![loss over steps](data:image/svg+xml;base64,{picture})",
        "| step | loss on train | loss on tune | learning rate |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for point in curve:
        train = "" if point.train_loss is None else f"{point.train_loss:.4f}"
        lines.append(f"| {point.step} | {train} | {point.tune_loss:.4f} | {point.learning_rate:.2e} |")
    _show(artifact_key("curve", rung), "\n".join(lines), f"Learning curve of {rung}")


def show_datasheet(snapshot: Path) -> None:
    """The datasheet beside a stored snapshot as a markdown artifact of the current task."""
    markdown = (snapshot / DATASHEET_MARKDOWN).read_text(encoding="utf-8")
    _show(
        artifact_key("datasheet"),
        markdown,
        "What the rows are, where they came from, and which were set aside",
    )


def show_report(report: RunReport) -> None:
    """The whole run as a markdown artifact of the flow run."""
    _show(artifact_key("decisions"), report_markdown(report), f"{report.outcome.value}: {report.sentence}")


def show_explanation(explanation: Explanation) -> None:
    """What a person asks months later, as a markdown artifact of the flow run."""
    _show(artifact_key("explanation"), explanation_markdown(explanation), "Why the run ended as it did")


def decision_markdown(decision: Decision) -> str:
    lines = [
        f"# {decision.gate.value}: {MARKS[decision.verdict]}",
        decision.sentence,
        "",
        "| rule | verdict | observed | threshold |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {rule.name} | {_verdict(rule)} | {_cell(rule.observed)} | {_cell(rule.threshold)} |"
        for rule in decision.rules
    ]
    lines += ["", *(f"- {rule.sentence}" for rule in decision.rules)]
    return "\n".join(lines)


def _verdict(rule: RuleResult) -> str:
    return MARKS[rule.verdict] if rule.decides else f"({rule.verdict.value})"


def _cell(text: str) -> str:
    """A pattern or a label may hold what would end a cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def report_markdown(report: RunReport) -> str:
    lines = [
        f"# {report.outcome.value}",
        report.sentence,
        "",
        "| gate | verdict | why |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {decision.gate.value} | {MARKS[decision.verdict]} | {decision.sentence} |"
        for decision in report.decisions
    ]
    lines += ["", f"Dossier: `{report.dossier}`", ""]
    return "\n".join(lines) + "\n\n".join(decision_markdown(decision) for decision in report.decisions)


def _show(key: str, markdown: str, description: str) -> None:
    from prefect.artifacts import create_markdown_artifact
    from prefect.context import FlowRunContext, TaskRunContext

    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    shown(lambda: create_markdown_artifact(markdown=markdown, key=key, description=description), key)
