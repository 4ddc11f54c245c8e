"""How every command ends that cannot go on: one message, or one JSON document, and its exit code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

EXIT_FAULT = 1
EXIT_INPUT = 2
EXIT_DATA_REJECTED = 3
EXIT_REQUIREMENT_UNMET = 4


@contextmanager
def errors_told(as_json: bool) -> Iterator[None]:
    """Ends the command where what is inside cannot go on: with 2 for the user's input, with 1 otherwise."""
    from data_contracts.errors import InputError, LorafirstError

    try:
        yield
    except InputError as error:
        fail(error, EXIT_INPUT, as_json)
    except LorafirstError as error:
        fail(error, EXIT_FAULT, as_json)


@contextmanager
def training_told(as_json: bool) -> Iterator[None]:
    """The same around a training, which somebody may stop: 130 for SIGINT, 143 for SIGTERM."""
    from data_contracts.errors import TrainingStopped

    try:
        with errors_told(as_json):
            yield
    except TrainingStopped as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(stopped.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command goes on after the last finished stage.", err=True)
        raise typer.Exit(130) from None


def fail(error: Exception, code: int, as_json: bool, *, hint: str = "") -> NoReturn:
    """Ends the command with ``code``; ``hint`` stands below the message, for people."""
    if as_json:
        problems = [problem.model_dump() for problem in getattr(error, "problems", ())]
        typer.echo(json.dumps({"error": type(error).__name__, "message": str(error), "problems": problems}))
    else:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        for text in (str(error), *getattr(error, "__notes__", ())):
            typer.echo(text, err=True)
        if hint:
            typer.echo(f"\n{hint}", err=True)
    raise typer.Exit(code) from None
