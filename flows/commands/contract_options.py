"""The options that the ``contract`` commands share, and what they become."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import DataSettings

DataArgument = Annotated[
    str,
    typer.Argument(
        help="jsonl, json or csv (also .gz, .zst), parquet; a file, a glob, a folder, s3://, gs://, "
        "package:NAME/PATH or a hub id."
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="classification, instruction or completion. Unset: the one whose columns are there."
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column", "-c", metavar="OURS=YOURS", help="Maps a column, as in text=question. Can be repeated."
    ),
]
FormOption = Annotated[
    str | None,
    typer.Option("--form", help="alpaca or sharegpt. Unset: recognised where it is plain, and named."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="The base model whose tokens count; without it, rules on tokens do not run."
    ),
]
MaxTokensOption = Annotated[
    int, typer.Option("--max-tokens", min=8, max=131_072, help="Tokens of a row that the model will read.")
]
EarlierOption = Annotated[
    list[str] | None,
    typer.Option(
        "--earlier",
        metavar="SNAPSHOT",
        help="A run's folder `snapshot`: nothing like its gate rows may be learned from, and drift counts "
        "from the last one. Can be repeated.",
    ),
]


def settings_of(
    data: str, columns: list[str] | None, form: str | None, earlier: list[str] | None = None
) -> "DataSettings":
    """The data that the options name.

    Raises:
        InputError: an option is not of its form; all of them at once.
    """
    import pydantic

    from data_contracts.errors import InputError, Problem
    from data_contracts.records.settings import ColumnSettings, DataForm, DataSettings

    mapped: dict[str, object] = {}
    problems = []
    names = [name for name in ColumnSettings.model_fields if name != "keep"]
    for entry in columns or ():
        ours, equals, yours = entry.partition("=")
        if not equals or not yours or ours not in names:
            problems.append(
                Problem(
                    where=f"--column {entry}",
                    expected=f"OURS=YOURS, where OURS is one of {', '.join(names)}",
                    found=repr(entry),
                    remedy="write for example --column text=question",
                )
            )
        mapped[ours] = yours
    if form is not None and form not in set(DataForm):
        problems.append(
            Problem(
                where="--form",
                expected=" or ".join(DataForm),
                found=repr(form),
                remedy="choose one, or leave it out",
            )
        )
    if problems:
        raise InputError(problems)
    try:
        return DataSettings(
            source=data,
            form=None if form is None else DataForm(form),
            columns=ColumnSettings.model_validate(mapped),
            earlier=tuple(earlier or ()),
        )
    except pydantic.ValidationError as error:
        raise InputError.single(
            "DATA", expected="a file, a folder or a URL", found=repr(data), remedy="name the data"
        ) from error


def task_of(name: str | None) -> "Task | None":
    """The task of that name, ``None`` for none; raises ``InputError`` for any other name."""
    from data_contracts.errors import InputError
    from data_contracts.records.metrics import Task

    if name is None:
        return None
    if name not in set(Task):
        raise InputError.single(
            "--task", expected=" or ".join(Task), found=repr(name), remedy="choose one, or leave it out"
        )
    return Task(name)
