"""``lorafirst models``, ``promote`` and ``rollback``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import EXIT_REQUIREMENT_UNMET, errors_told
from flows.commands.options import JsonOption, RunArgument

OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="The folder of dossiers; the registry lies there unless LORAFIRST_REGISTRY is set.",
    ),
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks; left out, your user name.")]


def models(
    model: Annotated[str | None, typer.Argument(help="Only this model; left out, all.")] = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List models: every version, its alias, the run that made it, its score, and who promoted it when."""
    from tasks.audit.models import list_models

    with errors_told(as_json):
        found = list_models(output, model)
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
        return
    from flows.rendering.registry import print_models

    print_models(found, output)


def promote(
    run: RunArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the version.")] = "",
    by: ByOption = None,
    require_promoted: Annotated[
        bool, typer.Option("--require-promoted", help="Exit with 4 unless it becomes champion.")
    ] = False,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Make what a run accepted champion, if the promotion gate lets it.

    Its dossier must verify. Challenger, champion and anchor are scored on the gate rows of that run.
    """
    from flows.running import promote_here
    from tasks.audit.rollbacks import require_reason
    from tasks.evidence.dossier import run_among

    with errors_told(as_json):
        # The flow takes ids and short reasons alone, and Prefect has words of its own for anything else.
        reason = require_reason(reason, needed=False)
        report = promote_here(run_among(output, run), output=output, reason=reason, by=by, quiet=as_json)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        from flows.rendering.registry import print_promotion

        print_promotion(report)
    if require_promoted and report.outcome.value != "promoted":
        raise typer.Exit(EXIT_REQUIREMENT_UNMET)


def rollback(
    model: Annotated[str, typer.Argument(help="The settings' `name`; `lorafirst models` lists them.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger's record for good.")],
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="The version; left out, the champion before.")
    ] = None,
    by: ByOption = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Put an earlier champion back in its place: nothing is trained or scored, and it takes seconds."""
    from data_contracts.errors import LorafirstError
    from flows.running import tell_rollback
    from tasks.audit.rollbacks import roll_back
    from tasks.evidence.environment import user_name

    with errors_told(as_json):
        output = output.resolve()
        done = roll_back(model, output=output, to=to, by=by or user_name(), reason=reason)
    if as_json:
        typer.echo(done.model_dump_json(indent=2))
    else:
        typer.echo(
            f"Version {done.version} of {model}, of run {done.run_id}, is champion again; "
            f"version {done.left_version} is not."
        )
    try:
        tell_rollback(done, output)
    except LorafirstError as error:
        typer.echo(f"The rollback is done, and nobody was told of it: {error}", err=True)
