"""``lorafirst plan``: what every rung would take, before anything is loaded or trained."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import JsonOption


def plan(
    config: Annotated[Path, typer.Argument(help="The settings, one YAML file; see `lorafirst schema`.")],
    probe: Annotated[
        bool, typer.Option("--probe", help="Train a few LoRA steps for real, to time them; nothing is kept.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast memory, time and size of every rung, and say which one the fit gate would take.

    Needs the base model's config.json alone: no weights are loaded, and of a hub id nothing else is
    downloaded.
    """
    from data_contracts.settings_file import load_settings

    with errors_told(as_json):
        from tasks.stages.planning import make_plan

        made = make_plan(load_settings(config), probe=probe)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
        return
    from flows.rendering.plan import print_plan

    print_plan(made)
