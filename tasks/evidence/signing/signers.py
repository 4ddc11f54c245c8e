"""The pipeline's own key: a file that the environment names, the key itself in the environment, or none."""

import os
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from tasks.evidence.signing.keys import PASSWORD_VARIABLE, load_signer, signer_of

KEY_FILE_VARIABLE = "LORAFIRST_SIGNING_KEY_FILE"
"""The environment variable that names the key's file, as ``lorafirst keys new`` writes it."""
KEY_VARIABLE = "LORAFIRST_SIGNING_KEY"
"""The environment variable that may hold the key itself, in PEM, and then comes first."""


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
