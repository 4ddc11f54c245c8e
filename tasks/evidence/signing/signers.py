"""The pipeline's own key: a file that the environment names, the key itself in the environment, or none.

Beside it, the keys whose signatures count for the pipeline: those of a pinned keyring, else its own.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from data_contracts.key_roles import KeyRole
from data_contracts.records.statements import Keyring, KeyringEntry
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import PASSWORD_VARIABLE, load_signer, public_key_of, signer_of

KEY_FILE_VARIABLE = "LORAFIRST_SIGNING_KEY_FILE"
"""The environment variable that names the key's file, as ``lorafirst keys new`` writes it."""
KEY_VARIABLE = "LORAFIRST_SIGNING_KEY"
"""The environment variable that may hold the key itself, in PEM, and then comes first."""

KEYRING_VARIABLE = "LORAFIRST_KEYRING"
"""The environment variable that names the keyring whose keys count."""


def pipeline_signer() -> CryptoSigner | None:
    """Signs what the pipeline decides; ``None`` where no key was given, and nothing is signed.

    Raises:
        InputError: a key was given and cannot be used.
    """
    password = os.environ.get(PASSWORD_VARIABLE)
    if text := os.environ.get(KEY_VARIABLE):
        return signer_of(text.encode(), password, where=KEY_VARIABLE)
    if path := os.environ.get(KEY_FILE_VARIABLE):
        return load_signer(Path(path), password)
    return None


def pinned_keyring() -> Keyring | None:
    """The keyring that the environment names; ``None`` without one.

    Raises:
        InputError: it cannot be read.
    """
    path = os.environ.get(KEYRING_VARIABLE)
    return read_keyring(Path(path)) if path else None


def trusted_keys() -> Keyring | None:
    """Whose signatures the pipeline accepts on its own permits; ``None`` where nothing is signed.

    Raises:
        InputError: keyring or key cannot be read.
    """
    pinned = pinned_keyring()
    if pinned is not None:
        return pinned
    signer = pipeline_signer()
    return None if signer is None else Keyring(keys=(_own(signer),))


def _own(signer: CryptoSigner) -> KeyringEntry:
    return KeyringEntry(
        name="pipeline",
        role=KeyRole.PIPELINE,
        public_key=public_key_of(signer),
        # Who has no keyring has not said when its key begins or ends to count.
        valid_from=datetime(1970, 1, 1, tzinfo=UTC),
        valid_until=datetime(9999, 1, 1, tzinfo=UTC),
    )
