"""Checkpoints of a ledger as files: signed where there is a key, and read again years later."""

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from securesystemslib.signer import Signer

from data_contracts.errors import InputError
from data_contracts.key_roles import KeyRole
from data_contracts.records.ledger import Checkpoint
from data_contracts.records.statements import Keyring, Statement
from tasks.evidence.signing.envelopes import envelope_bytes, read_envelope, sign_statement, verify_envelope

PREDICATE = "urn:lorafirst:checkpoint:v1"
"""Names the form of a checkpoint."""


def checkpoint_bytes(checkpoint: Checkpoint, signer: Signer | None) -> bytes:
    """A DSSE envelope over the checkpoint, or its plain record where nobody signs."""
    if signer is None:
        return checkpoint.canonical_json()
    return envelope_bytes(sign_statement(checkpoint, {"ledger": checkpoint.head}, PREDICATE, signer))


def read_checkpoint(path: Path, keyring: Keyring | None) -> tuple[Checkpoint, str]:
    """The checkpoint in a file, and in words what its signature is worth.

    Raises:
        InputError: the file is no checkpoint, or it is unsigned and a keyring was given.
        EnvelopeRefusedError: its signature does not hold against the keyring.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _no_checkpoint(path, error.strerror or type(error).__name__) from error
    if b'"payloadType"' not in content:
        if keyring is not None:
            raise _no_checkpoint(path, "an unsigned one, and a keyring to check its signature")
        return _parsed(path, content), "unsigned"
    envelope = read_envelope(content)
    if keyring is None:
        return _of_statement(path, envelope.payload), "signed, and without a keyring nobody checked by whom"
    stated = _of_statement(path, envelope.payload)
    verify_envelope(envelope, keyring, KeyRole.PIPELINE, datetime.fromisoformat(stated.at))
    return stated, "signed by a key of the keyring"


def _of_statement(path: Path, payload: bytes) -> Checkpoint:
    try:
        statement = Statement.model_validate_json(payload, by_alias=True, by_name=False)
        checkpoint = Checkpoint.as_written(statement.predicate)
    except ValidationError as error:
        raise _no_checkpoint(path, f"a statement of something else: {error.errors()[0]['msg']}") from error
    if statement.predicate_type != PREDICATE:
        raise _no_checkpoint(path, f"a statement of the type {statement.predicate_type}")
    return checkpoint


def _parsed(path: Path, content: bytes) -> Checkpoint:
    try:
        return Checkpoint.as_written(content)
    except ValidationError as error:
        raise _no_checkpoint(path, f"{error.error_count()} fields that are not as they should be") from error


def _no_checkpoint(path: Path, found: str) -> InputError:
    return InputError.single(
        f"checkpoint {path}",
        expected="a file that `lorafirst ledger checkpoint` wrote",
        found=found,
        remedy="name the checkpoint that was kept",
    )
