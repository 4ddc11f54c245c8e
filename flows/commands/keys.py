"""``lorafirst keys``: make the keys that sign."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_contracts.key_roles import KeyRole
from flows.commands.failing import EXIT_INPUT, fail
from flows.commands.options import JsonOption

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

app = typer.Typer(name="keys", help="Make the keys that sign.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Make the keys that sign."""


@app.command(
    epilog="""Examples:

* `lorafirst keys new --output ~/.lorafirst`

* `lorafirst keys new --name ada --role approver --password`

* `lorafirst keys new --name models --role model`, for `model_signing verify key --public_key ...`"""
)
def new(
    name: Annotated[str, typer.Option(help="Whose key it is; also the name of its files.")] = "pipeline",
    role: Annotated[KeyRole, typer.Option(help="What it may sign.")] = KeyRole.PIPELINE,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the key.")] = Path("keys"),
    ask_password: Annotated[
        bool,
        typer.Option("--password", help="Ask for a password; LORAFIRST_KEY_PASSWORD gives one unasked."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key: NAME.key, which nobody else may see, and NAME.keyring.yaml, for everybody.

    Keys are Ed25519, but for `--role model`, whose tool takes P-256: its public key is NAME.pub.pem.
    """
    from datetime import UTC, datetime

    from data_contracts.errors import InputError
    from tasks.evidence.signing.keys import PASSWORD_VARIABLE, create_key
    from tasks.evidence.signing.model_keys import create_model_key

    password = os.environ.get(PASSWORD_VARIABLE)
    if ask_password and not password:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        if role is KeyRole.MODEL:
            secret, public = create_model_key(output, name=name, password=password)
        else:
            now = datetime.now(UTC)
            secret, public = create_key(output, name=name, role=role, password=password, now=now)
    except InputError as error:
        fail(error, EXIT_INPUT, as_json)
    if as_json:
        kind = "public_key" if role is KeyRole.MODEL else "keyring"
        paths = {"private_key": str(secret), kind: str(public), "encrypted": bool(password)}
        typer.echo(json.dumps(paths, indent=2))
        return
    protected = "encrypted" if password else "NOT encrypted: whoever can read it can sign"
    typer.echo(f"{secret}  the private key, {protected}")
    form = "PEM" if role is KeyRole.MODEL else "a keyring"
    typer.echo(f"{public}  the public key, {form} for whoever verifies")


def signer_from(path: Path | None) -> "CryptoSigner | None":
    """The signer of a key file, or of the key in the environment; ``None`` without either.

    Raises:
        InputError: the key cannot be used.
    """
    from tasks.evidence.signing.keys import PASSWORD_VARIABLE, load_signer
    from tasks.evidence.signing.signers import pipeline_signer

    if path is None:
        return pipeline_signer()
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password and sys.stdin.isatty() and _encrypted(path):
        password = typer.prompt(f"Password of {path}", hide_input=True, err=True)
    return load_signer(path, password)


def _encrypted(path: Path) -> bool:
    return path.is_file() and b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
