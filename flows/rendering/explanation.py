"""An explanation on the terminal: the questions, and under each what the dossier says and where."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from data_contracts.records.decision import Verdict
from tasks.audit.explanation import Explanation
from tasks.audit.explanation_markdown import MARKS, told_cost
from tasks.audit.way import Step

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}


def print_explanation(explanation: Explanation) -> None:
    console = Console()
    outcome = explanation.outcome
    style = "green" if outcome is not None and outcome.accepted else "yellow"
    ended = outcome.value if outcome is not None else "not ended"
    console.print(Text.assemble((explanation.run_id, "bold"), "  ", (ended, f"bold {style}")))
    console.print(Text(explanation.sentence))
    for answer in explanation.answers:
        _heading(console, answer.question)
        for claim in answer.claims:
            _claim(console, Text(claim.sentence), claim.file)
    _heading(console, "What was tried and decided, in order?")
    for step in explanation.way:
        _claim(console, _told(step), step.file)
    if explanation.unreadable:
        _heading(console, "What cannot be read")
        for file in explanation.unreadable:
            _claim(console, Text(file, style="red"), "")
    console.print()
    console.print(Text("Files are those of the dossier; manifest.json lists them with their digests.", "dim"))
    console.print(Text(f"The decisions are {explanation.signature}.", "dim"))


def _told(step: Step) -> Text:
    if step.verdict is None:
        return Text.assemble(f"{step.title}  ", step.line, (f"  {told_cost(step)}", "dim"))
    lines = Text.assemble(
        (f"{step.title}  {MARKS[step.verdict]}", f"bold {_STYLES[step.verdict]}"), f"  {step.line}"
    )
    for each in step.rules:
        if each.rule.interval is not None:
            lines.append(f"\n{each.rule.name}: {each.rule.observed}, asked for {each.rule.threshold}", "dim")
    return lines


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _claim(console: Console, text: Text, file: str) -> None:
    console.print(Padding(Text.assemble(text, (f"  {file}", "cyan") if file else ""), (0, 0, 0, 2)))
