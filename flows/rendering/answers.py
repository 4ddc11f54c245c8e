"""Answers on the terminal: one block a row, texts as they are."""

from rich.console import Console
from rich.text import Text

from data_contracts.records.snapshot import Split
from tasks.audit.answers import Answers

_LONGEST = 2_000
"""Characters of one text that are shown; all of it is in `--json`."""


def print_answers(found: Answers) -> None:
    console = Console()
    _say(
        console,
        Text.assemble(
            (found.run_id, "bold"),
            f"  {found.scored} on {found.split.value}: {len(found.rows)} of {found.rows_in_all:,} rows, "
            f"{found.order.value} by {found.metric}",
        ),
    )
    if found.split in (Split.GATE, Split.RESERVE):
        said = f"A model improved by what is read here is no longer tested by the {found.split.value} rows."
        _say(console, Text(said, style="yellow"))
    for row in found.rows:
        _say(console, Text(f"\n{row.row_id}", style="dim"))
        for name, text in (
            ("question", row.question),
            ("reference", row.reference),
            ("answer", row.answer),
        ):
            _say(console, Text.assemble((f"  {name:<10}", "bold"), _shown(text)))
        scores = ", ".join(
            f"{name} {'undefined' if value is None else format(value, '.4g')}"
            for name, value in row.scores.items()
        )
        _say(console, Text(f"  scores    {scores}", style="cyan"))


def _shown(text: str) -> str:
    """Lines stand under one another, and control characters do nothing to the terminal."""
    kept = text[:_LONGEST] + (f" … ({len(text):,} characters)" if len(text) > _LONGEST else "")
    safe = "".join(
        char if char == "\n" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in kept
    )
    return safe.replace("\n", "\n            ")


def _say(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
