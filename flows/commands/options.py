"""What several commands are asked in the same words."""

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
RunArgument = Annotated[str, typer.Argument(help="A run id, the beginning of one, or the path of a dossier.")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The folder of dossiers.")]
