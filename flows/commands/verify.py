"""``lorafirst verify``: everything that a dossier can tell, checked offline."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.failing import EXIT_FAULT, errors_told
from flows.commands.options import JsonOption, OutputOption

if TYPE_CHECKING:
    from data_contracts.records.ledger import Checkpoint
    from tasks.evidence.ledger.book import Ledger


def verify(
    dossiers: Annotated[
        list[str],
        typer.Argument(help="Paths of dossiers or of promotions, run ids, or the beginnings of run ids."),
    ],
    keyring: Annotated[
        Path | None, typer.Option(help="The public keys that you trust; every signature must be by one.")
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(help="A ledger's file or URL; else that in LORAFIRST_LEDGER, or beside the dossier."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint of that ledger, which somebody else has kept.")
    ] = None,
    rescore: Annotated[
        int, typer.Option(min=0, help="Load each judged artifact, and ask it so many rows again.")
    ] = 0,
    without_weights: Annotated[
        bool,
        typer.Option(
            "--without-weights", help="Do not miss weights that `export --without-weights` left out."
        ),
    ] = False,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Verify dossiers: signatures, digests, figures, and every gate decided again from its evidence.

    Needs no network, no server and no trust in whoever made them. Lists every fault with its place, and says
    what it cannot prove.
    """
    from data_contracts.records.statements import Keyring
    from data_contracts.records.verification import Verification
    from flows.rendering.verification import print_verification, verifying
    from tasks.audit.checkpoints import read_checkpoint
    from tasks.audit.rescoring import rescore_dossier
    from tasks.audit.verify.promotion import is_promotion, verify_promotion
    from tasks.audit.verify.verifying import verify_dossier
    from tasks.evidence.dossier import find_dossier
    from tasks.evidence.signing.keyrings import read_keyring

    found: list[Verification] = []
    with errors_told(as_json):
        keys: Keyring | None = None if keyring is None else read_keyring(keyring)
        kept: Checkpoint | None = None
        if checkpoint is not None:
            kept, _ = read_checkpoint(checkpoint, keys)
        for name in dossiers:
            if is_promotion(Path(name)):
                with ExitStack() as stack:
                    book = _ledger(stack, ledger, Path(name).resolve().parents[1])
                    one = verify_promotion(Path(name), keyring=keys, ledger=book)
                found.append(one)
                if not as_json:
                    print_verification(one)
                continue
            folder = find_dossier(output, name).folder
            with ExitStack() as stack, verifying(folder.name, quiet=as_json) as progress:
                book = _ledger(stack, ledger, folder)
                one = verify_dossier(
                    folder,
                    keyring=keys,
                    ledger=book,
                    checkpoint=kept,
                    without_weights=without_weights,
                    progress=progress,
                )
                if rescore:
                    one = rescore_dossier(one, folder, rows=rescore, progress=progress)
            found.append(one)
            if not as_json:
                print_verification(one)
    if as_json:
        typer.echo("[" + ",\n".join(one.model_dump_json(indent=2) for one in found) + "]")
    if not all(one.verified for one in found):
        raise typer.Exit(EXIT_FAULT)


def _ledger(stack: ExitStack, asked: str | None, dossier: Path) -> "Ledger | None":
    """The ledger that was asked for, or the one at hand; ``None`` where there is none."""
    from tasks.evidence.ledger.book import ledger_at_hand, open_ledger

    location = asked or ledger_at_hand(dossier.resolve().parent)
    return None if location is None else stack.enter_context(open_ledger(location, read_only=True))
