"""``lorafirst contract``: draft a contract from data, check data against one, compare two."""

import re
import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flows.commands.contract_options import (
    ColumnOption,
    DataArgument,
    EarlierOption,
    FormOption,
    MaxTokensOption,
    ModelOption,
    TaskOption,
    settings_of,
    task_of,
)
from flows.commands.failing import EXIT_DATA_REJECTED, EXIT_FAULT, EXIT_INPUT, fail
from flows.commands.options import JsonOption

if TYPE_CHECKING:
    from data_contracts.progress import Progress
    from data_contracts.records.contract_reports import ContractReport

_OPTIONS = (
    "data.columns.X is --column X=NAME, data.form is --form, data.earlier is --earlier and model.source is "
    "--model"
)
"""What messages that speak of settings mean on this command line."""

app = typer.Typer(
    name="contract",
    help="Draft a data contract, check data against one, compare two.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(
    epilog="""Examples:

* `lorafirst contract init questions.jsonl -c text=question -c label=topic -o questions.odcs.yaml`

* `lorafirst contract init s3://bucket/talks/ --task instruction`

Exit codes: 0 drafted, 2 unusable input."""
)
def init(
    data: DataArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it here, where nothing is yet, instead of printing it."),
    ] = None,
    task: TaskOption = None,
    column: ColumnOption = None,
    form: FormOption = None,
) -> None:
    """Draft an ODCS 3 contract from data, with what was observed as comments.

    The draft accepts the very data it was drawn from; tighten it from there.
    """
    from data_contracts.errors import LorafirstError

    try:
        from flows.commands.contract_checks import draft

        settings = settings_of(data, column, form)
        command = _check_command(data, output, task, column, form)
        chosen = task_of(task)
        with _watching(quiet=False) as progress:
            text = draft(settings, chosen, command=command, progress=progress)
        if output is not None:
            _write_new(output, text)
    except LorafirstError as error:
        _refuse(error, as_json=False)
    if output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"Wrote {output}. Tighten it, then: {command}")


@app.command(
    epilog="""Examples:

* `lorafirst contract check questions.jsonl questions.odcs.yaml -c text=question -c label=topic`

* `lorafirst contract check talks.jsonl.gz talks.odcs.yaml --model org/name --page found.html`

* `lorafirst contract check nightly/ nightly.odcs.yaml --json | jq .evidence.rules`

* `lorafirst contract check may.jsonl questions.odcs.yaml --earlier runs/april/snapshot`

Exit codes: 0 every blocking rule holds, 1 a fault, 2 unusable input, 3 a blocking rule is broken."""
)
def check(
    data: DataArgument,
    contract: Annotated[Path, typer.Argument(help="An ODCS 3 file; see `lorafirst contract init`.")],
    task: TaskOption = None,
    model: ModelOption = None,
    max_tokens: MaxTokensOption = 256,
    column: ColumnOption = None,
    form: FormOption = None,
    earlier: EarlierOption = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Also write an HTML page to look at, without any row's text."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check data against a contract, without a run: every rule, and the rows that break it."""
    from data_contracts.errors import LorafirstError

    try:
        from flows.commands.contract_checks import check_alone

        settings, chosen = settings_of(data, column, form, earlier), task_of(task)
        with _watching(quiet=as_json) as progress:
            report = check_alone(
                settings, contract, chosen, model=model, max_tokens=max_tokens, page=page, progress=progress
            )
    except LorafirstError as error:
        _refuse(error, as_json)
    except KeyboardInterrupt:
        typer.echo("Stopped. Nothing was written.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        _show(report, contract, page)
    if not report.passed:
        raise typer.Exit(EXIT_DATA_REJECTED)


@app.command(
    epilog="""Examples:

* `lorafirst contract diff old.odcs.yaml new.odcs.yaml`

* `lorafirst contract diff old.odcs.yaml new.odcs.yaml --data questions.jsonl -c text=question -c label=topic`

Exit codes: 0 compared, whatever differs, 2 unusable input."""
)
def diff(
    old: Annotated[Path, typer.Argument(help="The contract before.")],
    new: Annotated[Path, typer.Argument(help="The contract after.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Say which rows of this data would be judged otherwise.")
    ] = None,
    task: TaskOption = None,
    model: ModelOption = None,
    max_tokens: MaxTokensOption = 256,
    column: ColumnOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which rules were added, removed, tightened or loosened, and what that does to data."""
    from data_contracts.errors import LorafirstError

    try:
        from flows.commands.contract_checks import compare

        settings = None if data is None else settings_of(data, column, form)
        chosen = task_of(task)
        with _watching(quiet=as_json) as progress:
            compared = compare(
                old, new, settings, chosen, model=model, max_tokens=max_tokens, progress=progress
            )
    except LorafirstError as error:
        _refuse(error, as_json)
    if as_json:
        typer.echo(compared.model_dump_json(indent=2))
    else:
        from flows.rendering.contracts import print_comparison

        print_comparison(compared)


def _watching(*, quiet: bool) -> AbstractContextManager["Progress"]:
    if quiet:
        from data_contracts.progress import silent

        return nullcontext(silent)
    from flows.rendering.progress_bar import progress_bar

    return progress_bar()


def _show(report: "ContractReport", contract: Path, page: Path | None) -> None:
    from flows.rendering.contracts import print_check

    print_check(report)
    if page is not None:
        typer.echo(f"page     {page}")
    elif not report.passed:
        typer.echo(
            f"next     mend the rows named, or change {contract}; --page FILE writes all of it to look at"
        )


def _check_command(
    data: str, output: Path | None, task: str | None, columns: list[str] | None, form: str | None
) -> str:
    words = ["lorafirst", "contract", "check", data, str(output or "CONTRACT")]
    words += ["--task", task] if task else []
    words += ["--form", form] if form else []
    words += [word for entry in columns or () for word in ("--column", entry)]
    return shlex.join(words)


def _write_new(path: Path, text: str) -> None:
    from data_contracts.errors import InputError
    from tasks.evidence.files import write_where_asked

    if path.exists():
        raise InputError.single(
            f"--output {path}",
            expected="a file that is not there yet",
            found="a file of that name",
            remedy="choose another name, or remove it first; what somebody tightened is not replaced",
        )
    write_where_asked(path, text.encode("utf-8"), "--output")


def _refuse(error: Exception, as_json: bool) -> NoReturn:
    from data_contracts.errors import InputError

    fail(
        error,
        EXIT_INPUT if isinstance(error, InputError) else EXIT_FAULT,
        as_json,
        hint=f"Here {_OPTIONS}." if re.search(r"data\.(columns\.|form|earlier)", str(error)) else "",
    )
