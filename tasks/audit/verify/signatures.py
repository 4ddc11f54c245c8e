"""Who signed: every envelope of the dossier against the keyring of whoever verifies."""

from collections.abc import Iterator
from datetime import datetime

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.bases import EscalationBasis, EscalationFacts
from data_contracts.records.statements import Keyring
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held
from tasks.evidence.approvals import verify_approval
from tasks.evidence.dossier import APPROVAL, MANIFEST, PERMIT
from tasks.evidence.signing.envelopes import read_envelope, verify_envelope


def envelopes(held: Held) -> Iterator[tuple[str, bytes, str]]:
    """File, content and time of everything that the pipeline's key should have signed."""
    for each in held.decisions:
        yield each.file, each.envelope, each.record.made_at
    if held.permit is not None:
        yield PERMIT, (held.folder / PERMIT).read_bytes(), held.permit.issued_at
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
    for each in held.decisions:
        basis = each.record.judgement.basis
        if isinstance(basis, EscalationBasis) and basis.facts.signed_by is not None:
            yield from _answer_faults(held, basis.facts, keyring)


def _answer_faults(held: Held, facts: EscalationFacts, keyring: Keyring) -> Iterator[FoundFault]:
    """The gate was told that an approver's key had verified the answer."""
    if facts.approval is None or facts.approval.key is None:
        return  # which the check of permits tells
    try:
        envelope = (held.folder / APPROVAL).read_bytes()
        at = datetime.fromisoformat(facts.approval.answered_at)
        verify_approval(facts.approval, envelope, keyring, at)
    except EnvelopeRefusedError as error:
        for what in error.faults:
            yield FoundFault(check=Check.SIGNATURES, where=APPROVAL, what=what)
    except OSError as error:
        what = f"it cannot be read: {error.strerror}"
        yield FoundFault(check=Check.SIGNATURES, where=APPROVAL, what=what)


def unsigned(held: Held) -> list[str]:
    """Files of envelopes that nobody signed."""
    return [file for file, content, _ in envelopes(held) if not read_envelope(content).signatures]
