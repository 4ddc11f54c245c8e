"""Whether a run can sign what its policy wants signed, asked before anything else."""

from datetime import UTC, datetime

from data_contracts.errors import InputError
from data_contracts.key_roles import KeyRole
from data_contracts.records.policy import SignatureRule
from data_contracts.records.settings import RunSettings
from data_contracts.records.statements import Keyring
from tasks.evidence.signing.keys import public_key_of
from tasks.evidence.signing.model_keys import model_key, model_signer
from tasks.evidence.signing.signers import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    KEYRING_VARIABLE,
    pinned_keyring,
    pipeline_signer,
)

_MAKE_ONE = (
    f"`lorafirst keys new --output keys` makes one; then set {KEY_FILE_VARIABLE}=keys/pipeline.key, or "
    f"{KEY_VARIABLE} to the key itself"
)


def require_signers(settings: RunSettings) -> None:
    """Returns only if what the run writes will be signed as its policy, and whoever pinned a keyring, ask.

    Raises:
        InputError: a key is missing, cannot be used, or does not count.
    """
    models = model_key()
    if models is not None:
        model_signer(models)
    signer, keyring = pipeline_signer(), pinned_keyring()
    if signer is None and settings.policy.record.signatures is SignatureRule.REQUIRED:
        raise InputError.single(
            "policy.record.signatures required",
            expected="the pipeline's key",
            found=f"neither {KEY_FILE_VARIABLE} nor {KEY_VARIABLE} is set",
            remedy=_MAKE_ONE,
        )
    if keyring is None:
        return
    if signer is None:
        # Otherwise the run would learn it when everything but full fine-tuning has been paid for.
        raise InputError.single(
            KEYRING_VARIABLE,
            expected="a key to sign with, since permits must then be signed by a key of this keyring",
            found=f"neither {KEY_FILE_VARIABLE} nor {KEY_VARIABLE} is set",
            remedy=f"{_MAKE_ONE}; or unset {KEYRING_VARIABLE}",
        )
    _require_known(public_key_of(signer), keyring)


def _require_known(public_key: str, keyring: Keyring) -> None:
    if keyring.counting(public_key, KeyRole.PIPELINE, datetime.now(UTC)) is not None:
        return
    held = keyring.holding(public_key)
    raise InputError.single(
        KEYRING_VARIABLE,
        expected="the key that this run signs with, in the role pipeline, valid today",
        found="a key that is not in it" if held is None else str(held),
        remedy="put the entry of its .keyring.yaml into the keyring, or sign with another key",
    )
