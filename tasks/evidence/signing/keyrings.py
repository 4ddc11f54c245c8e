"""The keyring of whoever verifies: a YAML file of public keys with names, roles and validity."""

from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from securesystemslib.signer import SSlibKey

from data_contracts.errors import InputError, Problem
from data_contracts.records.statements import Keyring, KeyringEntry


def read_keyring(path: Path) -> Keyring:
    """Raises ``InputError`` with every problem of the file."""
    try:
        keyring = Keyring.model_validate(yaml.safe_load(path.read_bytes()))
    except (OSError, yaml.YAMLError) as error:
        raise InputError.single(
            f"keyring {path}",
            expected="a YAML file with the list `keys`",
            found=getattr(error, "strerror", None) or str(error),
            remedy="`lorafirst keys new` writes a keyring of one key beside it; put their entries together",
        ) from error
    except ValidationError as error:
        raise InputError(
            Problem(
                where=f"keyring {path}, {'.'.join(str(part) for part in fault['loc']) or 'the whole'}",
                expected="name, role, public_key, valid_from and valid_until, every name and key once",
                found=fault["msg"],
                remedy="mend the entry; `lorafirst keys new` shows what one looks like",
            )
            for fault in error.errors()
        ) from error
    return keyring


def verifying_key(entry: KeyringEntry) -> SSlibKey:
    """securesystemslib's key of ``entry``, under the key id that the library computes of it."""
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry.public_key)))
