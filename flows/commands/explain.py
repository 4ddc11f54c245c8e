"""``lorafirst explain``: why a run ended as it did."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import JsonOption, OutputOption, RunArgument


def explain(
    run: RunArgument,
    output: OutputOption = Path("runs"),
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a run to somebody who was not there, each claim with the file to check it in.

    What was asked, what was tried, which rule failed by how much, which remedies were spent, what full
    fine-tuning cost, who allowed it and why, and what it brought. The dossier's `report.html` shows the same.
    """
    from data_contracts.errors import InputError
    from tasks.audit.explanation import explain_run

    with errors_told(as_json):
        if as_markdown and as_json:
            raise InputError.single(
                "lorafirst explain",
                expected="one of --markdown and --json",
                found="both",
                remedy="leave one out",
            )
        explanation = explain_run(output, run)
    if as_json:
        typer.echo(explanation.model_dump_json(indent=2))
        return
    if as_markdown:
        from tasks.audit.explanation_markdown import explanation_markdown

        typer.echo(explanation_markdown(explanation), nl=False)
        return
    from flows.rendering.explanation import print_explanation

    print_explanation(explanation)
