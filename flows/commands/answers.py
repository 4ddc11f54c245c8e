"""``lorafirst answers``: what a model answered, row by row."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import JsonOption, OutputOption, RunArgument


class ReadableSplit(StrEnum):
    """Rows whose answers a person may want to read."""

    TUNE = "tune"
    GATE = "gate"
    RESERVE = "reserve"


def answers(
    run: RunArgument,
    split: Annotated[
        ReadableSplit,
        typer.Option(help="Which rows. Whoever improves a model by gate rows has none left to test it on."),
    ] = ReadableSplit.TUNE,
    of: Annotated[str | None, typer.Option(help="Whose answers: a folder of the dossier.")] = None,
    metric: Annotated[str | None, typer.Option(help="Order by this metric, not the policy's.")] = None,
    worst: Annotated[int | None, typer.Option(min=1, help="So many of the worst rows (10).")] = None,
    best: Annotated[int | None, typer.Option(min=1, help="So many of the best rows.")] = None,
    sample: Annotated[int | None, typer.Option("--random", min=1, help="So many at random.")] = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Read what a model answered: question, reference, answer and scores of single rows."""
    from data_contracts.errors import InputError
    from data_contracts.records.snapshot import Split
    from tasks.audit.answers import Order, read_answers_of

    asked = {Order.WORST: worst, Order.BEST: best, Order.RANDOM: sample}
    given = [(order, count) for order, count in asked.items() if count is not None]
    with errors_told(as_json):
        if len(given) > 1:
            raise InputError.single(
                "lorafirst answers",
                expected="one of --worst, --best and --random",
                found=" and ".join(f"--{order.value}" for order, _ in given),
                remedy="leave the others out",
            )
        order, count = given[0] if given else (Order.WORST, 10)
        found = read_answers_of(
            output, run, split=Split(split.value), count=count, order=order, metric=metric, scored=of
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    from flows.rendering.answers import print_answers

    print_answers(found)
