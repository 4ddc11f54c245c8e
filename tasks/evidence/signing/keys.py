"""Ed25519 keys: made, kept in files of PKCS#8 and loaded again; a private key never leaves its file."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from data_contracts.errors import InputError
from data_contracts.key_roles import KeyRole
from data_contracts.records.statements import KEY_NAME, Keyring, KeyringEntry
from tasks.evidence.files import write_atomically

VALID_FOR = timedelta(days=730)
"""From the day a key is made; whoever pins it may write something shorter into the keyring."""
PASSWORD_VARIABLE = "LORAFIRST_KEY_PASSWORD"
"""The environment variable that holds the password of a key file."""


def create_key(
    folder: Path, *, name: str, role: KeyRole, password: str | None, now: datetime
) -> tuple[Path, Path]:
    """Makes a key pair: ``NAME.key`` (mode 0600), and ``NAME.keyring.yaml``, a keyring of this key alone.

    Raises:
        InputError: the name cannot be one, the key is there already, or the folder cannot be written to.
    """
    require_key_name(name)
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    begin = now.astimezone(UTC).replace(microsecond=0)
    entry = KeyringEntry(
        name=name,
        role=role,
        public_key=private.public_key().public_bytes_raw().hex(),
        valid_from=begin,
        valid_until=begin + VALID_FOR,
    )
    document = Keyring(keys=(entry,)).model_dump(mode="json")
    return write_key_pair(
        folder / f"{name}.key",
        pem,
        folder / f"{name}.keyring.yaml",
        yaml.safe_dump(document, sort_keys=False).encode(),
    )


def require_key_name(name: str) -> None:
    """Raises ``InputError`` if keys cannot be called so."""
    if not re.fullmatch(KEY_NAME, name):
        raise InputError.single(
            "--name",
            expected="up to 64 letters, digits, dots, hyphens and underscores, a letter or digit first",
            found=repr(name),
            remedy="choose another name",
        )


def write_key_pair(secret: Path, pem: bytes, public: Path, content: bytes) -> tuple[Path, Path]:
    """Writes both, the private one with mode 0600 and only where no key lies yet; raises ``InputError``."""
    try:
        secret.parent.mkdir(parents=True, exist_ok=True)
        _write_secret(secret, pem)
        write_atomically(public, content)
    except OSError as error:
        raise InputError.single(
            f"key {secret}",
            expected="a place where no key lies yet, and that can be written to",
            found=error.strerror or type(error).__name__,
            remedy="choose another --name or --output; a key is never overwritten",
        ) from error
    return secret, public


def _write_secret(path: Path, pem: bytes) -> None:
    # Created with its mode, so that nobody else can open it even for a moment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())


def load_signer(path: Path, password: str | None) -> CryptoSigner:
    """The signer of the private key in the file ``path``; raises ``InputError`` where that fails."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise _unusable(f"key {path}", error.strerror or type(error).__name__) from error
    return signer_of(pem, password, where=f"key {path}")


def signer_of(pem: bytes, password: str | None, *, where: str) -> CryptoSigner:
    """The signer of a private key in PKCS#8, encrypted if ``password`` is given.

    Raises:
        InputError: it is no Ed25519 key, or the password is missing or wrong.
    """
    encrypted = b"ENCRYPTED PRIVATE KEY" in pem
    if encrypted and not password:
        raise _unusable(where, "a key that needs a password, and none was given")
    try:
        key = load_pem_private_key(pem, password.encode() if encrypted and password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong = "a wrong password, or a damaged key" if encrypted else "no private key in PEM"
        raise _unusable(where, wrong) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(where, f"a key of another kind ({type(key).__name__})")
    return CryptoSigner(key, SSlibKey.from_crypto(key.public_key()))


def public_key_of(signer: CryptoSigner) -> str:
    """The 32 bytes of the signer's public key, in hexadecimal, as keyrings have them."""
    return str(signer.public_key.keyval["public"])


def _unusable(where: str, found: str) -> InputError:
    return InputError.single(
        where,
        expected="an Ed25519 private key in PKCS#8, as `lorafirst keys new` writes it",
        found=found,
        remedy=f"name the key's file, and give its password in {PASSWORD_VARIABLE}",
    )
