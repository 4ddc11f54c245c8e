"""``lorafirst up`` and ``lorafirst down``."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import errors_told

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Where password, logs, database and process ids lie; by default in the user's state folder.",
    ),
]


def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the server (4200).")] = None,
    host: Annotated[
        str | None,
        typer.Option(help="The address to listen on (127.0.0.1). Beyond this machine, put TLS before it."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="LORAFIRST_DATABASE",
            show_envvar=True,
            help="postgresql+asyncpg://USER:PASSWORD@HOST/NAME instead of a SQLite file.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="What settings from the form name must lie in this folder; dossiers do too.")
    ] = Path(),
    state: StateOption = None,
    deployments: Annotated[
        Path | None, typer.Option(help="A prefect.yaml of your own, registered beside the shipped one.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="So many runs at a time; others wait.")] = 1,
) -> None:
    """Start a Prefect server, its workers and the deployments, in the background.

    What runs already is left alone, so the same command also brings back a worker that has died.
    """
    with errors_told(as_json=False):
        from flows.operating.credentials import VARIABLE, credentials_file
        from flows.operating.starting import Asked, start_all
        from flows.operating.state import default_state

        begun = time.monotonic()
        place = (state or default_state()).resolve()
        asked = Asked(
            folder=folder.resolve(),
            state=place,
            host=host,
            port=port,
            database=database,
            deployments=None if deployments is None else deployments.resolve(),
            runs_at_once=runs,
        )
        found = start_all(asked, _tell)
    url = found.operating.url
    if not found.anything_started:
        typer.echo(f"It is up already: {url}")
        return
    where = f"as in {VARIABLE}" if VARIABLE in os.environ else f"in {credentials_file(place)}"
    typer.echo(f"\nUp after {time.monotonic() - begun:.1f} s: {url}")
    typer.echo(f"  name and password   {where}")
    typer.echo(f"  served folder       {found.operating.folder}")
    typer.echo(f"  logs                {place / 'logs'}")
    typer.echo("In the UI: Deployments, finetune, Run, Custom run. `lorafirst down` stops it all.")


def down(state: StateOption = None) -> None:
    """Stop what `lorafirst up` started. A training that is at work saves, and can go on later."""
    with errors_told(as_json=False):
        from flows.operating.state import default_state
        from flows.operating.stopping import stop_all

        found = stop_all((state or default_state()).resolve())
    if found is None:
        typer.echo("Nothing is up.")
        return
    stopped = ", ".join(each.role for each in found.processes) or "nothing was running any more"
    typer.echo(f"Stopped: {stopped}.")
    if found.killed:
        typer.echo(f"{len(found.killed)} of them had to be killed.")


def _tell(what: str, words: str) -> None:
    typer.secho(f"✓ {what:<12}", fg="green", nl=False, err=True)
    typer.echo(f" {words}", err=True)
