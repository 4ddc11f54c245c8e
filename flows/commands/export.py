"""``lorafirst export``: a dossier as one file, for somebody else to keep and to verify."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import JsonOption, OutputOption, RunArgument

if TYPE_CHECKING:
    from data_contracts.records.archive import Archive


def export(
    run: RunArgument,
    to: Annotated[
        Path | None, typer.Option(help="The archive, or a folder for it; else RUN.zip in this folder.")
    ] = None,
    without_weights: Annotated[
        bool,
        typer.Option("--without-weights", help="Leave model weights out; the manifest keeps their digests."),
    ] = False,
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Pack a dossier into one zip file, each file held against the manifest while it is read.

    The same dossier gives the same bytes, whoever packs it and when, so that a digest says which dossier an
    archive holds. A dossier that is not what its manifest says is refused.
    """
    from data_contracts.progress import silent
    from flows.rendering.progress_bar import progress_bar
    from tasks.evidence.archive import write_archive
    from tasks.evidence.dossier import find_dossier

    with errors_told(as_json):
        dossier = find_dossier(output, run)
        target = _target(to, dossier.folder.resolve().name)
        with nullcontext(silent) if as_json else progress_bar() as progress:
            made = write_archive(dossier, target, without_weights=without_weights, progress=progress)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        _print(made)


def _target(to: Path | None, name: str) -> Path:
    if to is None:
        return Path(f"{name}.zip")
    return to / f"{name}.zip" if to.is_dir() else to


def _print(made: "Archive") -> None:
    option = " --without-weights" if made.left_out else ""
    path, digest = shlex.quote(made.path), made.sha256.removeprefix("sha256:")
    typer.echo(f"archive  {made.path}, {made.files:,} files, {_size(made.size_bytes)}")
    typer.echo(f"sha256   {digest}")
    if made.left_out:
        size = _size(sum(file.size_bytes for file in made.left_out))
        count = "1 file" if len(made.left_out) == 1 else f"{len(made.left_out)} files"
        typer.echo(f"left out {count} of model weights, {size}")
    typer.echo(f"check    echo '{digest}  '{path} | sha256sum --check")
    typer.echo(f"         python -m zipfile -e {path} . && lorafirst verify ./{made.run_id}{option}")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"
