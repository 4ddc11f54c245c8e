"""An explanation as Markdown: one page for a terminal's pager, a ticket or Prefect's UI."""

from data_contracts.records.decision import Verdict
from tasks.audit.explanation import Explanation
from tasks.audit.way import Step
from tasks.data.pages.text_bars import code_cell

MARKS = {Verdict.PASS: "✓ pass", Verdict.FAIL: "✗ fail", Verdict.INCONCLUSIVE: "? inconclusive"}
"""Letters, not emoji: those need a font that servers and old browsers may lack."""


def explanation_markdown(explanation: Explanation) -> str:
    """Headings are the questions; every line ends with the file of the dossier to check it in."""
    ended = explanation.outcome.value if explanation.outcome is not None else "not ended"
    lines = [f"# {explanation.run_id}: {ended}", "", code_cell(explanation.sentence)]
    for answer in explanation.answers:
        lines += ["", f"## {answer.question}", ""]
        lines += [f"- {code_cell(claim.sentence)} (`{claim.file}`)" for claim in answer.claims]
    lines += [
        "",
        "## What was tried and decided, in order?",
        "",
        "| | step | what came of it | took | where |",
        "| --- | --- | --- | --- | --- |",
        *(_row(step) for step in explanation.way),
    ]
    if explanation.unreadable:
        lines += ["", "## What cannot be read", "", *(f"- `{file}`" for file in explanation.unreadable)]
    lines += ["", "Files are those of the dossier; `manifest.json` lists them with their digests."]
    lines += [f"The decisions are {explanation.signature}."]
    return "\n".join(lines) + "\n"


def told_cost(step: Step) -> str:
    """Time and memory; empty for a decision."""
    if step.cost is None:
        return ""
    return f"{step.cost.seconds:,.1f} s, {step.cost.peak_memory_bytes / 2**30:.2f} GiB"


def _row(step: Step) -> str:
    mark = MARKS[step.verdict] if step.verdict is not None else ""
    intervals = "; ".join(
        f"{each.rule.name}: {each.rule.observed}, asked for {each.rule.threshold}"
        for each in step.rules
        if each.rule.interval is not None
    )
    told = f"{step.line} {intervals}".strip()
    return f"| {mark} | {code_cell(step.title)} | {code_cell(told)} | {told_cost(step)} | `{step.file}` |"
