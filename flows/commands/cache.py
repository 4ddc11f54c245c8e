"""``lorafirst cache``: plain copies of packed, remote and array files."""

import json
from typing import Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import JsonOption


def cache(
    clean: Annotated[bool, typer.Option("--clean", help="Delete them; not while a run reads.")] = False,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Only those unused for so long.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """List, or delete, the plain copies of packed, remote and array files; they are made again if needed."""
    import time

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
    if clean:
        with errors_told(as_json):
            remove_copies(chosen)
    if as_json:
        typer.echo(json.dumps({"deleted": clean, "size_bytes": total, "copies": described}, indent=2))
        return
    for line in lines:
        typer.echo(line)
    what = f"{len(chosen)} {'copy' if len(chosen) == 1 else 'copies'}, {total / 2**20:,.1f} MiB"
    typer.echo(f"{what} {'deleted from' if clean else 'in'} {copies_folder()}")
