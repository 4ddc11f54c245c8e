"""``lorafirst run``, ``runs`` and ``show``: start a run, list runs, show one."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import (
    EXIT_DATA_REJECTED,
    EXIT_REQUIREMENT_UNMET,
    errors_told,
    training_told,
)
from flows.commands.options import JsonOption, OutputOption, RunArgument


class Requirement(StrEnum):
    """Outcomes that a script can insist on."""

    ACCEPTED = "accepted"


def run(
    config: Annotated[Path, typer.Argument(help="The settings, one YAML file; see `lorafirst schema`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where dossiers go, instead of `output`.")
    ] = None,
    require: Annotated[
        Requirement | None,
        typer.Option(help="Exit with 4 unless the run ends with an accepted model."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the pipeline: contract, baseline, pilot, gate, and full fine-tuning only with a permit.

    Nothing that is finished is done again: the same command goes on after a crash, and an unchanged
    rerun only decides anew.
    """
    from data_contracts.settings_file import load_settings

    with training_told(as_json):
        settings = load_settings(config)
        if output is not None:
            settings = settings.model_copy(update={"output": output.resolve()})
        from flows.running import run_here
        from tasks.evidence.files import require_writable

        require_writable(settings.output)
        report = run_here(settings, quiet=as_json)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        from flows.rendering.runs import print_report

        print_report(report)
    if report.outcome.value == "data_rejected":
        raise typer.Exit(EXIT_DATA_REJECTED)
    if require is Requirement.ACCEPTED and not report.outcome.accepted:
        raise typer.Exit(EXIT_REQUIREMENT_UNMET)


def runs(
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first, and how they ended."""
    from tasks.audit.overview import list_runs

    with errors_told(as_json):
        entries = list_runs(output)
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=2))
        return
    from flows.rendering.runs import print_runs

    print_runs(entries, output)


def show(
    run: RunArgument,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Show every decision of a run, from its dossier alone."""
    from tasks.audit.overview import read_run

    with errors_told(as_json):
        view = read_run(output, run)
    if as_json:
        typer.echo(view.model_dump_json(indent=2))
        return
    from flows.rendering.runs import print_view

    print_view(view)
