"""Who signed: every envelope of the dossier against the keyring of whoever verifies."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.statements import Keyring
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import UNREADABLE, Held
from tasks.evidence.dossier import MANIFEST, PERMIT
from tasks.evidence.signing.envelopes import read_envelope, verify_envelope


def envelopes(held: Held) -> Iterator[tuple[str, bytes, str]]:
    """File, content and time of everything that the pipeline's key should have signed."""
    for each in held.decisions:
        yield each.file, each.envelope, each.record.made_at
    with suppress(*UNREADABLE):  # which the check of permits tells
        permit = held.dossier.permit()
        if permit is not None:
            yield PERMIT, (held.folder / PERMIT).read_bytes(), permit.issued_at
    if held.manifest is not None:
        yield MANIFEST, (held.folder / MANIFEST).read_bytes(), held.manifest.made_at


def signature_faults(held: Held, keyring: Keyring) -> Iterator[FoundFault]:
    """Signatures that are missing, bad, or of keys that do not count."""
    for file, content, at in envelopes(held):
        try:
            envelope = read_envelope(content)
            verify_envelope(envelope, keyring, KeyRole.PIPELINE, datetime.fromisoformat(at))
        except EnvelopeRefusedError as error:
            for what in error.faults:
                yield FoundFault(check=Check.SIGNATURES, where=file, what=what)


def unsigned(held: Held) -> list[str]:
    """Files of envelopes that nobody signed."""
    return [file for file, content, _ in envelopes(held) if not read_envelope(content).signatures]
