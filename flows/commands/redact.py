"""``lorafirst redact``: take the texts out of a dossier, so that all that remains can still be verified."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.failing import EXIT_INPUT, errors_told
from flows.commands.options import JsonOption, OutputOption, RunArgument

if TYPE_CHECKING:
    from data_contracts.records.redaction import Copies, RedactionReport


def redact(
    run: RunArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the dossier for good.")],
    by: Annotated[str | None, typer.Option("--by", help="Who does it; else the user's name.")] = None,
    store: Annotated[
        bool,
        typer.Option("--store", help="Also remove the stages in the store that hold the same texts."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Remove every text from a dossier; whatever remains can still be verified.

    Texts, their salts and identities leave the tables of rows, answers and references those of scores; the
    page of examples goes. Labels, scores, lengths, reasons and the commitments to the texts stay, and the
    manifest as it was. It cannot be undone, says what else still holds the texts, and asks first.
    """
    from data_contracts.errors import InputError
    from data_contracts.progress import silent
    from flows.rendering.progress_bar import progress_bar
    from tasks.audit.redacting import Redacting

    with errors_told(as_json):
        if as_json and not yes:
            raise InputError.single(
                "--json",
                expected="--yes beside it",
                found="nothing to answer a question with",
                remedy="add it",
            )
        planned = Redacting.of(output, run, by=by, reason=reason)
        if not yes and planned.holding:
            _ask(planned.holding, planned.copies, store)
        with nullcontext(silent) if as_json else progress_bar() as progress:
            made = planned.carry_out(store=store, progress=progress)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        _print(made, planned.name)


def _ask(holding: tuple[str, ...], copies: "Copies", store: bool) -> None:
    typer.echo("Texts will be removed from")
    for path in holding:
        typer.echo(f"  {path}")
    typer.echo("and cannot be brought back from this dossier. They are also in")
    _print_copies(copies, store)
    if not typer.confirm("Remove them?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(EXIT_INPUT)


def _print_copies(copies: "Copies", store: bool = False) -> None:
    for stage in copies.store:
        typer.echo(f"  the store: {stage}{' (to be removed)' if store else ' (--store removes it)'}")
    for dossier in copies.dossiers:
        typer.echo(f"  another dossier: {dossier} (lorafirst redact {dossier})")
    for source in copies.sources:
        typer.echo(f"  the source: {source}")
    for file in copies.identities:
        typer.echo(f"  {file}: digests of gate rows, by which a short text can be guessed")
    typer.echo("  whatever was copied, cached (`lorafirst cache`), exported or backed up before")
    typer.echo(
        "  models that were trained on them: weights can repeat texts, and scores fit the texts they are of"
    )


def _print(made: "RedactionReport", name: str) -> None:
    redaction = made.redaction
    if redaction is None:
        typer.echo(f"{name} holds no texts. Nothing was changed.")
        return
    how = "had been redacted before" if made.already else "is redacted"
    typer.echo(
        f"{redaction.run_id} {how}: {len(redaction.files)} files, by {redaction.redacted_by} at "
        f"{redaction.redacted_at[:19]}Z: {redaction.reason}"
    )
    for stage in made.removed_from_store:
        typer.echo(f"removed from the store: {stage}")
    typer.echo("Still holding these texts:")
    _print_copies(made.copies)
    typer.echo(f"check  lorafirst verify {name}")
