"""``lorafirst``: start a run, list runs, show one, answer an escalation, work on contracts."""

import gc
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows import (
    contract_commands,
    decisions_command,
    explain_command,
    export_command,
    key_commands,
    ledger_commands,
    plan_command,
    redact_command,
    registry_commands,
    retrain_commands,
    verify_command,
)
from flows.failing import (
    EXIT_DATA_REJECTED,
    EXIT_FAULT,
    EXIT_INPUT,
    EXIT_REQUIREMENT_UNMET,
    JsonOption,
    errors_told,
    fail,
    training_told,
)
from flows.operating import commands as operating_commands

app = typer.Typer(
    name="lorafirst",
    help="Fine-tune language models LoRA first, with a decision gate at every step.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.add_typer(contract_commands.app)
app.add_typer(key_commands.app)
app.add_typer(ledger_commands.app)
app.command(
    epilog="""Examples:

* `lorafirst plan examples/trec6/lorafirst.yaml`

* `lorafirst plan big.yaml --json | jq '.rungs[] | {rung: .forecast.rung, fits}'`

* `lorafirst plan nightly.yaml --probe`

Exit codes: 0 planned, whatever fits, 1 a fault, 2 unusable input."""
)(plan_command.plan)


app.command(
    epilog="""Examples:

* `lorafirst up --folder /srv/models`

* `LORAFIRST_DATABASE=postgresql+asyncpg://USER:PASSWORD@HOST/NAME lorafirst up --port 4300 --runs 2`

Exit codes: 0 up, 1 something did not start, 2 unusable input."""
)(operating_commands.up)
app.command(epilog="Exit codes: 0 nothing of it runs any more, 2 unusable input.")(operating_commands.down)


class Requirement(StrEnum):
    """Outcomes that a script can insist on."""

    ACCEPTED = "accepted"


@app.command(
    epilog="""Examples:

* `lorafirst run examples/trec6/lorafirst.yaml`

* `lorafirst run nightly.yaml --output /srv/runs --json --require accepted`

Exit codes: 0 the run ended in an outcome, 1 a fault, 2 unusable input, 3 the data was rejected,
4 `--require` unmet, 130 or 143 stopped by SIGINT or SIGTERM; training is then saved."""
)
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
        from flows.rendering import print_report

        print_report(report)
    if report.outcome.value == "data_rejected":
        raise typer.Exit(EXIT_DATA_REJECTED)
    if require is Requirement.ACCEPTED and not report.outcome.accepted:
        raise typer.Exit(EXIT_REQUIREMENT_UNMET)


@app.command(epilog="Example: `lorafirst runs --output /srv/runs`")
def runs(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of dossiers.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first, and how they ended."""
    from data_contracts.errors import LorafirstError
    from tasks.audit.overview import list_runs

    try:
        entries = list_runs(output)
    except LorafirstError as error:
        fail(error, EXIT_FAULT, as_json)
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=2))
        return
    from flows.rendering import print_runs

    print_runs(entries, output)


@app.command(epilog="Example: `lorafirst show trec6-20261122`")
def show(
    run: Annotated[str, typer.Argument(help="A run id, the beginning of one, or the path of a dossier.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of dossiers.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Show every decision of a run, from its dossier alone."""
    from tasks.audit.overview import read_run

    with errors_told(as_json):
        view = read_run(output, run)
    if as_json:
        typer.echo(view.model_dump_json(indent=2))
        return
    from flows.rendering import print_view

    print_view(view)


app.command(
    epilog="""Examples:

* `lorafirst explain trec6-20261122`

* `lorafirst explain trec6-20261122 --markdown > why.md`"""
)(explain_command.explain)
app.command(
    epilog="""Examples:

* `lorafirst verify runs/trec6-20261122-101500-a1b2`

* `lorafirst verify RUN --keyring pipeline.keyring.yaml --checkpoint kept-elsewhere.json`

* `lorafirst verify RUN --rescore 100 --json | jq '.[0].checks[] | select(.faults != [])'`

Exit codes: 0 no fault, 1 faults, 2 unusable input."""
)(verify_command.verify)
app.command(
    epilog="""Examples:

* `lorafirst export trec6-20261122`

* `lorafirst export trec6-20261122 --without-weights --to /srv/audit/`

Exit codes: 0 packed, 1 the dossier is damaged, 2 unusable input."""
)(export_command.export)
app.command(
    epilog="""Examples:

* `lorafirst decisions --to decisions.csv`

* `lorafirst decisions --output /srv/runs --to decisions.parquet`

Exit codes: 0 written, 1 written, but for dossiers that cannot be read, 2 unusable input."""
)(decisions_command.decisions)
app.command(
    epilog="""Examples:

* `lorafirst redact trec6-20261122 --reason "the rows were withdrawn"`

* `lorafirst redact trec6-20261122 --by Ada --reason "retention ended" --store --yes --json`

Exit codes: 0 the dossier holds no texts any more, 1 it is damaged, 2 unusable input, or not wanted."""
)(redact_command.redact)
app.command(
    epilog="""Examples:

* `lorafirst models`

* `lorafirst models trec6 --json | jq '.[0].versions[] | select(.aliases[] == "champion").candidate.dossier'`

Exit codes: 0 listed, 1 a fault, 2 unusable input."""
)(registry_commands.models)
app.command(
    epilog="""Examples:

* `lorafirst promote trec6-20261122 --reason "first release"`

* `lorafirst promote trec6-20261122 --require-promoted --json`

Exit codes: 0 promoted, or the champion is kept, 1 refused or a fault, 2 unusable input,
4 `--require-promoted` unmet."""
)(registry_commands.promote)
app.command(
    epilog="""Examples:

* `lorafirst rollback trec6 --reason "complaints about abbreviations"`

* `lorafirst rollback trec6 --to 2 --by Ada --reason "the last one that legal has seen"`

Exit codes: 0 done, 1 the earlier version is gone or damaged, or a fault, 2 unusable input."""
)(registry_commands.rollback)
app.command(
    epilog="""Examples:

* `lorafirst retrain nightly.yaml`

* `lorafirst retrain nightly.yaml --json | jq -r '.outcome, .plan.reasons[]'`

Exit codes: 0 promoted, kept, not accepted or skipped, 1 a fault, 2 unusable input, or another retraining of
this model is at work, 3 the data was rejected, 130 or 143 stopped; training is then saved."""
)(retrain_commands.retrain)
app.command(
    epilog="""Examples:

* `lorafirst drift nightly.yaml`

* `PREFECT_API_URL=http://127.0.0.1:4200/api lorafirst drift nightly.yaml`, for the automation `on-drift`

Exit codes: 0 looked, whatever was found, 1 a fault, 2 unusable input."""
)(retrain_commands.drift)


class ReadableSplit(StrEnum):
    """Rows whose answers a person may want to read."""

    TUNE = "tune"
    GATE = "gate"
    RESERVE = "reserve"


@app.command(
    epilog="""Examples:

* `lorafirst answers trec6-20261122`

* `lorafirst answers trec6-20261122 --of baseline --best 5 --metric token_f1`"""
)
def answers(
    run: Annotated[str, typer.Argument(help="A run id, the beginning of one, or a dossier's path.")],
    split: Annotated[
        ReadableSplit,
        typer.Option(help="Which rows. Whoever improves a model by gate rows has none left to test it on."),
    ] = ReadableSplit.TUNE,
    of: Annotated[str | None, typer.Option(help="Whose answers: a folder of the dossier.")] = None,
    metric: Annotated[str | None, typer.Option(help="Order by this metric, not the policy's.")] = None,
    worst: Annotated[int | None, typer.Option(min=1, help="So many of the worst rows (10).")] = None,
    best: Annotated[int | None, typer.Option(min=1, help="So many of the best rows.")] = None,
    sample: Annotated[int | None, typer.Option("--random", min=1, help="So many at random.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of dossiers.")] = Path("runs"),
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
    from flows.answer_rendering import print_answers

    print_answers(found)


NameOption = Annotated[
    str | None,
    typer.Option("--name", help="Who answers, never who started the run. Left out: the name of the key."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stands in the decision for good.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Sign with this key of an approver, which the keyring in LORAFIRST_KEYRING must hold. "
        "LORAFIRST_KEY_PASSWORD gives its password unasked.",
    ),
]
RunArgument = Annotated[str, typer.Argument(help="A run id, the beginning of one, or a dossier's path.")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The folder of dossiers.")]


@app.command(
    epilog="""Examples:

* `lorafirst approve trec6-20261122 --name "Ada" --reason "launch in May"`

* `LORAFIRST_KEYRING=keyring.yaml lorafirst approve trec6-20261122 --key ada.key --reason "launch in May"`

Exit codes: 0 recorded, 1 a fault, 2 the run waits for nobody, or the answer would not count."""
)
def approve(
    run: RunArgument,
    reason: ReasonOption,
    name: NameOption = None,
    key: KeyOption = None,
    output: OutputOption = Path("runs"),
) -> None:
    """Allow the full fine-tuning that a run waits for.

    Without `--key` only a name and a reason are recorded, which is what somebody typed.
    """
    _answer(run, output, name, reason, key, approved=True)


@app.command(
    epilog="""Examples:

* `lorafirst deny trec6-20261122 --name "Ada" --reason "over budget"`

* `LORAFIRST_KEYRING=keyring.yaml lorafirst deny trec6-20261122 --key ada.key --reason "over budget"`

Exit codes: 0 recorded, 1 a fault, 2 the run waits for nobody, or the answer would not count."""
)
def deny(
    run: RunArgument,
    reason: ReasonOption,
    name: NameOption = None,
    key: KeyOption = None,
    output: OutputOption = Path("runs"),
) -> None:
    """Deny it. A denial is kept like an approval, and the last answer counts."""
    _answer(run, output, name, reason, key, approved=False)


def _answer(
    run: str, output: Path, name: str | None, reason: str, key: Path | None, *, approved: bool
) -> None:
    from data_contracts.errors import InputError, LorafirstError
    from flows.going_on import go_on_if_served
    from flows.key_commands import signer_from
    from tasks.audit.approval import answer_escalation
    from tasks.audit.waiting import comes_too_late
    from tasks.evidence.dossier import find_dossier

    try:
        signer = None if key is None else signer_from(key)
        answer = answer_escalation(output, run, approved=approved, name=name, reason=reason, signer=signer)
        dossier = find_dossier(output, run)
        late = comes_too_late(output, dossier)
        started = go_on_if_served(dossier.request(), because=answer.digest())
    except InputError as error:
        fail(error, EXIT_INPUT, as_json=False)
    except LorafirstError as error:
        fail(error, EXIT_FAULT, as_json=False)
    word = "approved" if approved else "denied"
    how = "not signed" if answer.key is None else f"signed by {answer.key}"
    typer.echo(f"Recorded, {how}: {word}.")
    if late:
        typer.echo("It comes too late, and is a denial whatever it says.")
    if started is None:
        typer.echo("Start the run again with the same command; it goes on from here.")
    else:
        typer.echo(f"The run goes on as flow run {started}.")


@app.command(epilog="Example: `lorafirst schema > lorafirst.schema.json`, then name it in your editor")
def schema() -> None:
    """Print the JSON schema of a settings file, for editors."""
    from data_contracts.records.settings import RunSettings

    document = RunSettings.model_json_schema()
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    typer.echo(json.dumps(document, indent=2))


@app.command(
    epilog="""Examples:

* `lorafirst cache`

* `lorafirst cache --clean --older-than 30`"""
)
def cache(
    clean: Annotated[bool, typer.Option("--clean", help="Delete them; not while a run reads.")] = False,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Only those unused for so long.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """List, or delete, the plain copies of packed, remote and array files; they are made again if needed."""
    import time

    from data_contracts.errors import InputError
    from tasks.data.reading.local_copies import copies_folder, remove_copies, stored_copies

    latest = time.time() - older_than * 86_400
    chosen = [copy for copy in stored_copies() if copy.used_at <= latest]
    described = [
        {
            "name": copy.name,
            "folder": str(copy.folder),
            "size_bytes": copy.size_bytes,
            "used_at": copy.used_at,
        }
        for copy in chosen
    ]
    lines = [f"{copy.size_bytes / 2**20:10,.1f} MiB  {copy.name}  {copy.folder}" for copy in chosen]
    total = sum(copy.size_bytes for copy in chosen)
    try:
        if clean:
            remove_copies(chosen)
    except InputError as error:
        fail(error, EXIT_INPUT, as_json)
    if as_json:
        typer.echo(json.dumps({"deleted": clean, "size_bytes": total, "copies": described}, indent=2))
        return
    for line in lines:
        typer.echo(line)
    what = f"{len(chosen)} {'copy' if len(chosen) == 1 else 'copies'}, {total / 2**20:,.1f} MiB"
    typer.echo(f"{what} {'deleted from' if clean else 'in'} {copies_folder()}")


def main() -> None:
    # Prefect's own log lines would stand between ours; they still reach its API.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    try:
        app()
    finally:
        # Otherwise the interpreter walks every object of torch and transformers once more before it ends,
        # which takes seconds and frees nothing that the system does not.
        gc.disable()
        gc.freeze()


if __name__ == "__main__":
    main()
