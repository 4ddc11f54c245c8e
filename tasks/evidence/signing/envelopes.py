"""in-toto statements in DSSE envelopes: signed, and verified against a pinned keyring."""

import json
from collections.abc import Mapping
from datetime import datetime

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, Signer

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import Digest, Record, canonical_json
from data_contracts.records.statements import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Keyring,
    KeyringEntry,
    Statement,
    Subject,
)
from tasks.evidence.signing.keyrings import verifying_key
from tasks.evidence.signing.payloads import parse_statement


def sign_statement(
    record: Record, subjects: Mapping[str, Digest], predicate_type: str, signer: Signer | None
) -> Envelope:
    """An envelope over the statement that ``record`` holds of the ``subjects``, digests by name.

    Without a signer it has no signature, and nobody can verify it; what reads it says so.
    """
    statement = Statement(
        statement_type=STATEMENT_TYPE,
        subject=tuple(Subject.of(name, digest) for name, digest in sorted(subjects.items())),
        predicate_type=predicate_type,
        predicate=record.json_value(),
    )
    envelope = Envelope(statement.canonical_json(), PAYLOAD_TYPE, {})
    if signer is not None:
        envelope.sign(signer)
    return envelope


def envelope_bytes(envelope: Envelope) -> bytes:
    """The envelope's canonical JSON, for a file."""
    return canonical_json(envelope.to_dict())


def read_envelope(content: bytes) -> Envelope:
    """Raises ``EnvelopeRefusedError`` if ``content`` is no DSSE envelope in JSON."""
    try:
        return Envelope.from_dict(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvelopeRefusedError([f"it is no DSSE envelope: {type(error).__name__}: {error}"]) from error
    except Exception as error:  # the library's FormatError derives from Exception alone
        raise EnvelopeRefusedError([f"it is no DSSE envelope: {error}"]) from error


def verify_envelope(envelope: Envelope, keyring: Keyring, role: KeyRole, at: datetime) -> Statement:
    """The statement, if a key of ``role`` that was valid ``at`` signed exactly this.

    Signatures of keys that are unknown, have another role or were not valid do not count, which is no fault
    while another does; one that a known key did not make always is.

    Raises:
        EnvelopeRefusedError: with every fault.
    """
    faults: list[str] = []
    passed_over: list[str] = []
    counted = 0
    known = {verifying_key(entry).keyid: entry for entry in keyring.keys}
    for signature in envelope.signatures.values():
        entry = known.get(signature.keyid)
        if entry is None:
            passed_over.append(f"key {signature.keyid[:16]} is not in the keyring")
        elif not _made_by(entry, signature, envelope):
            faults.append(f"the signature of {entry.name} is bad: not of this content, or not by this key")
        elif reasons := _why_not(entry, role, at):
            passed_over.extend(reasons)
        else:
            counted += 1
    if not envelope.signatures:
        faults.append("it has no signature")
    if not counted:
        faults.extend(passed_over)
    statement = _statement(envelope, faults)
    if statement is None or faults:
        raise EnvelopeRefusedError(faults)
    return statement


def _made_by(entry: KeyringEntry, signature: Signature, envelope: Envelope) -> bool:
    try:
        verifying_key(entry).verify_signature(signature, envelope.pae())
    except UnverifiedSignatureError:
        return False
    return True


def _why_not(entry: KeyringEntry, role: KeyRole, at: datetime) -> list[str]:
    reasons = []
    if entry.role is not role:
        reasons.append(f"key {entry.name} has the role {entry.role.value}, and {role.value} is needed")
    if not entry.valid_at(at):
        validity = f"{entry.valid_from:%Y-%m-%d %H:%M:%S%z} to {entry.valid_until:%Y-%m-%d %H:%M:%S%z}"
        reasons.append(f"key {entry.name} is valid from {validity}, and not at {at:%Y-%m-%d %H:%M:%S%z}")
    return reasons


def _statement(envelope: Envelope, faults: list[str]) -> Statement | None:
    """The payload as a statement; what is wrong with it is added to ``faults``."""
    if envelope.payload_type != PAYLOAD_TYPE:
        faults.append(f"its payload type is {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}")
    return parse_statement(envelope.payload, faults)
