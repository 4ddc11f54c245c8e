"""``lorafirst retrain`` and ``drift``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.failing import EXIT_DATA_REJECTED, training_told
from flows.commands.options import JsonOption

if TYPE_CHECKING:
    from data_contracts.records.settings import RunSettings

ConfigArgument = Annotated[Path, typer.Argument(help="The settings, as for `lorafirst run`.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="The folder of dossiers, instead of `output`.")
]


def retrain(config: ConfigArgument, output: OutputOption = None, as_json: JsonOption = False) -> None:
    """Train a model anew where its data give a reason, and let the promotion gate decide about it.

    The data are held against their contract and against the champion's snapshot: without drift, other
    settings or enough new rows nothing is trained, and the reason is told.
    """
    from flows.running import retrain_here

    with training_told(as_json):
        report = retrain_here(_settings(config, output), quiet=as_json)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        from flows.rendering.registry import print_retraining

        print_retraining(report)
    if report.outcome.value == "data_rejected":
        raise typer.Exit(EXIT_DATA_REJECTED)


def drift(config: ConfigArgument, output: OutputOption = None, as_json: JsonOption = False) -> None:
    """Hold data against the champion's snapshot, and the champion against rows it has never seen.

    What has drifted is told, and emitted as Prefect's event `lorafirst.drift`.
    """
    from flows.running import drift_here

    with training_told(as_json):
        found = drift_here(_settings(config, output), quiet=as_json)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    from flows.rendering.registry import print_drift

    print_drift(found)


def _settings(config: Path, output: Path | None) -> "RunSettings":
    from data_contracts.settings_file import load_settings

    settings = load_settings(config)
    return settings if output is None else settings.model_copy(update={"output": output.resolve()})
