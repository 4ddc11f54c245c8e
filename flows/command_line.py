"""``lorafirst``: every command in the panel of its kind, with examples and exit codes."""

import gc
import os
import sys

import typer

from flows.commands import (
    answers,
    approval,
    cache,
    contract,
    decisions,
    explain,
    export,
    keys,
    ledger,
    plan,
    redact,
    registry,
    retraining,
    runs,
    schema,
    server,
    verify,
)

app = typer.Typer(
    name="lorafirst",
    help="Fine-tune language models LoRA first, with a decision gate at every step.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

RUNS = "Runs"
ESCALATION = "Escalation to full fine-tuning"
MODELS = "Models in use"
AUDIT = "Audit"
SERVER = "A server with its UI"
DATA = "Data"
SETTINGS = "Settings and disk"

app.command(
    rich_help_panel=RUNS,
    epilog="""Examples:

* `lorafirst plan examples/trec6/lorafirst.yaml`

* `lorafirst plan big.yaml --json | jq '.rungs[] | {rung: .forecast.rung, fits}'`

* `lorafirst plan nightly.yaml --probe`

Exit codes: 0 planned, whatever fits, 1 a fault, 2 unusable input.""",
)(plan.plan)
app.command(
    rich_help_panel=RUNS,
    epilog="""Examples:

* `lorafirst run examples/trec6/lorafirst.yaml`

* `lorafirst run nightly.yaml --output /srv/runs --json --require accepted`

Exit codes: 0 the run ended in an outcome, 1 a fault, 2 unusable input, 3 the data was rejected,
4 `--require` unmet, 130 or 143 stopped by SIGINT or SIGTERM; training is then saved.""",
)(runs.run)
app.command(
    rich_help_panel=RUNS,
    epilog="Example: `lorafirst runs --output /srv/runs`",
)(runs.runs)
app.command(
    rich_help_panel=RUNS,
    epilog="Example: `lorafirst show trec6-20261122`",
)(runs.show)
app.command(
    rich_help_panel=RUNS,
    epilog="""Examples:

* `lorafirst explain trec6-20261122`

* `lorafirst explain trec6-20261122 --markdown > why.md`""",
)(explain.explain)
app.command(
    rich_help_panel=RUNS,
    epilog="""Examples:

* `lorafirst answers trec6-20261122`

* `lorafirst answers trec6-20261122 --of baseline --best 5 --metric token_f1`""",
)(answers.answers)

app.command(
    rich_help_panel=ESCALATION,
    epilog="""Examples:

* `lorafirst approve trec6-20261122 --name "Ada" --reason "launch in May"`

* `LORAFIRST_KEYRING=keyring.yaml lorafirst approve trec6-20261122 --key ada.key --reason "launch in May"`

Exit codes: 0 recorded, 1 a fault, 2 the run waits for nobody, or the answer would not count.""",
)(approval.approve)
app.command(
    rich_help_panel=ESCALATION,
    epilog="""Examples:

* `lorafirst deny trec6-20261122 --name "Ada" --reason "over budget"`

* `LORAFIRST_KEYRING=keyring.yaml lorafirst deny trec6-20261122 --key ada.key --reason "over budget"`

Exit codes: 0 recorded, 1 a fault, 2 the run waits for nobody, or the answer would not count.""",
)(approval.deny)

app.command(
    rich_help_panel=MODELS,
    epilog="""Examples:

* `lorafirst models`

* `lorafirst models trec6 --json | jq '.[0].versions[] | select(.aliases[] == "champion").candidate.dossier'`

Exit codes: 0 listed, 1 a fault, 2 unusable input.""",
)(registry.models)
app.command(
    rich_help_panel=MODELS,
    epilog="""Examples:

* `lorafirst promote trec6-20261122 --reason "first release"`

* `lorafirst promote trec6-20261122 --require-promoted --json`

Exit codes: 0 promoted, or the champion is kept, 1 refused or a fault, 2 unusable input,
4 `--require-promoted` unmet.""",
)(registry.promote)
app.command(
    rich_help_panel=MODELS,
    epilog="""Examples:

* `lorafirst rollback trec6 --reason "complaints about abbreviations"`

* `lorafirst rollback trec6 --to 2 --by Ada --reason "the last one that legal has seen"`

Exit codes: 0 done, 1 the earlier version is gone or damaged, or a fault, 2 unusable input.""",
)(registry.rollback)
app.command(
    rich_help_panel=MODELS,
    epilog="""Examples:

* `lorafirst retrain nightly.yaml`

* `lorafirst retrain nightly.yaml --json | jq -r '.outcome, .plan.reasons[]'`

Exit codes: 0 promoted, kept, not accepted or skipped, 1 a fault, 2 unusable input, or another retraining of
this model is at work, 3 the data was rejected, 130 or 143 stopped; training is then saved.""",
)(retraining.retrain)
app.command(
    rich_help_panel=MODELS,
    epilog="""Examples:

* `lorafirst drift nightly.yaml`

* `PREFECT_API_URL=http://127.0.0.1:4200/api lorafirst drift nightly.yaml`, for the automation `on-drift`

Exit codes: 0 looked, whatever was found, 1 a fault, 2 unusable input.""",
)(retraining.drift)

app.command(
    rich_help_panel=AUDIT,
    epilog="""Examples:

* `lorafirst verify runs/trec6-20261122-101500-a1b2`

* `lorafirst verify RUN --keyring pipeline.keyring.yaml --checkpoint kept-elsewhere.json`

* `lorafirst verify RUN --rescore 100 --json | jq '.[0].checks[] | select(.faults != [])'`

Exit codes: 0 no fault, 1 faults, 2 unusable input.""",
)(verify.verify)
app.command(
    rich_help_panel=AUDIT,
    epilog="""Examples:

* `lorafirst export trec6-20261122`

* `lorafirst export trec6-20261122 --without-weights --to /srv/audit/`

Exit codes: 0 packed, 1 the dossier is damaged, 2 unusable input.""",
)(export.export)
app.command(
    rich_help_panel=AUDIT,
    epilog="""Examples:

* `lorafirst decisions --to decisions.csv`

* `lorafirst decisions --output /srv/runs --to decisions.parquet`

Exit codes: 0 written, 1 written, but for dossiers that cannot be read, 2 unusable input.""",
)(decisions.decisions)
app.command(
    rich_help_panel=AUDIT,
    epilog="""Examples:

* `lorafirst redact trec6-20261122 --reason "the rows were withdrawn"`

* `lorafirst redact trec6-20261122 --by Ada --reason "retention ended" --store --yes --json`

Exit codes: 0 the dossier holds no texts any more, 1 it is damaged, 2 unusable input, or not wanted.""",
)(redact.redact)
app.add_typer(keys.app, rich_help_panel=AUDIT)
app.add_typer(ledger.app, rich_help_panel=AUDIT)

app.command(
    rich_help_panel=SERVER,
    epilog="""Examples:

* `lorafirst up --folder /srv/models`

* `LORAFIRST_DATABASE=postgresql+asyncpg://USER:PASSWORD@HOST/NAME lorafirst up --port 4300 --runs 2`

Exit codes: 0 up, 1 something did not start, 2 unusable input.""",
)(server.up)
app.command(
    rich_help_panel=SERVER,
    epilog="Exit codes: 0 nothing of it runs any more, 2 unusable input.",
)(server.down)

app.add_typer(contract.app, rich_help_panel=DATA)
app.command(
    rich_help_panel=SETTINGS,
    epilog="Example: `lorafirst schema > lorafirst.schema.json`, then name it in your editor",
)(schema.schema)
app.command(
    rich_help_panel=SETTINGS,
    epilog="""Examples:

* `lorafirst cache`

* `lorafirst cache --clean --older-than 30`""",
)(cache.cache)


def main() -> None:
    # Prefect's own log lines would stand between ours; they still reach its API.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    try:
        app()
    except SystemExit as ended:
        # Imported by whoever ran a flow, and by nobody else.
        running = sys.modules.get("flows.running")
        if running is not None and isinstance(ended.code, int):
            running.leave_if_server_lost(ended.code)
        raise
    finally:
        # Otherwise the interpreter walks every object of torch and transformers once more before it ends,
        # which takes seconds and frees nothing that the system does not.
        gc.disable()
        gc.freeze()


if __name__ == "__main__":
    main()
