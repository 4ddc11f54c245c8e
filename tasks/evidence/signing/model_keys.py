"""Signatures of model folders by OpenSSF model-signing, which takes elliptic-curve keys and no Ed25519.

So what is served can be checked by whoever loads it, with that tool and a public key, and without lorafirst.
"""

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from data_contracts.errors import InputError
from tasks.evidence.files import write_atomically
from tasks.evidence.signing.keys import PASSWORD_VARIABLE, require_key_name, write_key_pair

MODEL_KEY_VARIABLE = "LORAFIRST_MODEL_KEY_FILE"
"""The environment variable that names the file of the key that signs accepted artifacts."""
SIGNATURE = "model.sig"
"""Lies beside the artifact's folder in the dossier."""


def create_model_key(folder: Path, *, name: str, password: str | None) -> tuple[Path, Path]:
    """Makes a P-256 key pair: ``NAME.key`` (mode 0600), and ``NAME.pub.pem``, as model_signing reads them.

    Raises:
        InputError: the name cannot be one, the key is there already, or the folder cannot be written to.
    """
    require_key_name(name)
    private = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return write_key_pair(
        folder / f"{name}.key",
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption),
        folder / f"{name}.pub.pem",
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def model_key() -> Path | None:
    """The key's file that the environment names; ``None`` where artifacts are not to be signed."""
    path = os.environ.get(MODEL_KEY_VARIABLE)
    return Path(path) if path else None


def sign_model(folder: Path, key: Path) -> Path:
    """Signs every file of ``folder``; returns the signature, which is written beside it.

    Raises:
        InputError: as ``model_signer`` says.
    """
    signature = folder.parent / SIGNATURE
    partial = signature.with_name(f".{SIGNATURE}")
    model_signer(key).sign(folder, partial)
    write_atomically(signature, partial.read_bytes())
    partial.unlink()
    return signature


def model_signer(key: Path) -> Any:
    """The configured tool; loading the key tells before a long training that it can be used.

    Raises:
        InputError: model-signing is not installed, or the key cannot be used.
    """
    try:
        from model_signing.signing import Config
    except ImportError as error:
        raise _unusable(
            "the package model-signing, which signs model folders",
            error.msg,
            "pip install 'lorafirst[model-signing]'",
        ) from error
    password = os.environ.get(PASSWORD_VARIABLE)
    encrypted = b"ENCRYPTED PRIVATE KEY" in _content(key)
    try:
        # It hands the password to cryptography as it is, which takes bytes.
        secret: Any = password.encode() if encrypted and password else None
        config: Any = Config
        return config().use_elliptic_key_signer(private_key=key, password=secret)
    except (ValueError, TypeError, AttributeError) as error:
        raise _unusable(
            "a private key on the curve P-256, as `lorafirst keys new --role model` writes it",
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            f"name the key's file, and give its password in {PASSWORD_VARIABLE}",
        ) from error


def _content(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise _unusable(
            "a private key's file",
            error.strerror or type(error).__name__,
            f"correct the path in {MODEL_KEY_VARIABLE}",
        ) from error


def _unusable(expected: str, found: str, remedy: str) -> InputError:
    return InputError.single(MODEL_KEY_VARIABLE, expected=expected, found=found, remedy=remedy)
