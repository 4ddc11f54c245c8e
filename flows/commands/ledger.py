"""``lorafirst ledger``: list the entries, take a checkpoint, check the chain."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import EXIT_FAULT, errors_told
from flows.commands.options import JsonOption

app = typer.Typer(name="ledger", help="Read and check the ledger of all runs.", no_args_is_help=True)

OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="The folder of dossiers, unless LORAFIRST_LEDGER names a ledger elsewhere.",
    ),
]


@app.command("list", epilog="Example: `lorafirst ledger list --run trec6-20261122-101500-a1b2`")
def list_entries(
    run: Annotated[str | None, typer.Option(help="Only the entries of this run id.")] = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the entries, oldest first."""
    from tasks.evidence.ledger.book import ledger_location, open_ledger

    with errors_told(as_json), open_ledger(ledger_location(output), read_only=True) as ledger:
        entries = list(ledger.entries(run))
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=2))
        return
    for entry in entries:
        mark = "  clock set back" if entry.clock_set_back else ""
        about = entry.about.removeprefix("sha256:")[:12]
        typer.echo(
            f"{entry.sequence:6}  {entry.at[:19]}Z  {entry.kind.value:14}  {entry.run_id}  "
            f"{about}  {entry.actor}{mark}"
        )


@app.command(
    epilog="""Examples:

* `lorafirst ledger checkpoint --key keys/pipeline.key --to checkpoint.json`, for somebody else to keep

* `lorafirst ledger checkpoint --json`"""
)
def checkpoint(
    key: Annotated[
        Path | None, typer.Option(help="Sign with this key; else with that in LORAFIRST_SIGNING_KEY, if any.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write it into this file.")] = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print or write what the ledger holds now; kept elsewhere, it shows every later change."""
    from flows.commands.keys import signer_from
    from tasks.audit.checkpoints import checkpoint_bytes
    from tasks.evidence.files import write_where_asked
    from tasks.evidence.ledger.book import ledger_location, open_ledger

    with errors_told(as_json):
        signer = signer_from(key)
        with open_ledger(ledger_location(output), read_only=True) as ledger:
            made = ledger.checkpoint()
        content = checkpoint_bytes(made, signer)
        if to is not None:
            write_where_asked(to, content, "--to")
    if as_json:
        typer.echo(content)
        return
    typer.echo(f"entries      {made.sequence}\nhead         {made.head}\nMerkle root  {made.merkle_root}")
    typer.echo(f"at           {made.at}\n{'signed' if signer else 'unsigned'}{f', in {to}' if to else ''}")


@app.command(
    epilog="""Example: `lorafirst ledger check --checkpoint checkpoint.json --keyring pipeline.keyring.yaml`

Exit codes: 0 no fault, 1 a fault in the chain, of the checkpoint's signature or the database, 2 bad input."""
)
def check(
    against: Annotated[
        Path | None, typer.Option("--checkpoint", help="A checkpoint that was kept elsewhere.")
    ] = None,
    keyring: Annotated[
        Path | None, typer.Option(help="The keys that you trust; the checkpoint must be signed by one.")
    ] = None,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Check every entry and link, and list every fault.

    Without a checkpoint, entries missing from the end and a chain written anew as a whole cannot be seen.
    """
    from data_contracts.records.ledger import ChainCheck
    from tasks.audit.checkpoints import read_checkpoint
    from tasks.evidence.ledger.book import ledger_location, open_ledger
    from tasks.evidence.signing.keyrings import read_keyring

    with errors_told(as_json):
        keys = None if keyring is None else read_keyring(keyring)
        known, words = (None, "none") if against is None else read_checkpoint(against, keys)
        with open_ledger(ledger_location(output), read_only=True) as ledger:
            entries, faults = ledger.check(known)
    found = ChainCheck(entries=entries, faults=faults, checkpoint=words)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        for fault in faults:
            typer.echo(str(fault))
        typer.echo(f"{entries} entries, {len(faults)} faults; checkpoint: {words}")
    if faults:
        raise typer.Exit(EXIT_FAULT)
