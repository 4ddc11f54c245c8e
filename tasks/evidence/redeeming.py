"""Permits, and the training that each is redeemed for.

A permit counts if the ledger says that it was issued for its run, if it is signed by whom the pipeline
trusts (where it trusts anybody), and if it covers the training. Redeeming it is one entry of the ledger for
each training: the same one may come again, after a crash say, another one of the same seed may not. Whoever
asks is told all that is wrong at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import Digest, utc_time
from data_contracts.records.ledger import EntryKind, LedgerEntry
from data_contracts.records.permit import Permit, PermitIssuer, Redemption, refuse_if
from data_contracts.records.rungs import Rung
from data_contracts.records.statements import Keyring
from tasks.evidence.dossier import read_permit
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import Ledger


@dataclass(frozen=True)
class Work:
    """One training that would update base weights."""

    run_id: str
    snapshot: Digest
    base_model: Digest
    policy: Digest
    rung: Rung
    seed: int
    training: Digest
    """Of everything that is put into it."""


@dataclass(frozen=True)
class Redeemed:
    """A permit, and the training that it was redeemed for."""

    permit: Permit
    redemption: Redemption


def redeem(
    ledger: Ledger, kept: KeptPermits, envelope: bytes, work: Work, trusted: Keyring | None
) -> Redeemed:
    """Redeems the permit in ``envelope`` for ``work``, unless it has been for this very training.

    Args:
        trusted: whose signatures count; ``None`` where nothing is signed.

    Raises:
        PermitRefusedError: with everything that is wrong; nothing was redeemed.
        LedgerError: nothing was redeemed.
    """
    permit = _read_or_refuse(envelope)
    redemption = Redemption(
        permit=permit.digest(), run_id=work.run_id, seed=work.seed, training=work.training
    )

    def admit(entries: tuple[LedgerEntry, ...]) -> None:
        refuse_if(
            [
                *_faults_of_issue(permit, entries, ledger.where),
                *_faults_of_signature(envelope, permit, entries, trusted),
                *permit.faults(
                    run_id=work.run_id,
                    snapshot=work.snapshot,
                    base_model=work.base_model,
                    policy=work.policy,
                    rung=work.rung,
                    seed=work.seed,
                ),
                *_faults_of_use(permit, redemption, entries, kept),
            ]
        )
        kept.keep_redemption(redemption)

    ledger.append(
        EntryKind.PERMIT_REDEEMED,
        run_id=work.run_id,
        about=redemption.digest(),
        actor="run",
        once=True,
        guard=admit,
    )
    return Redeemed(permit, redemption)


def may_be_used_again(
    envelope: bytes,
    permit: Permit,
    entries: tuple[LedgerEntry, ...],
    kept: KeptPermits,
    trusted: Keyring | None,
) -> bool:
    """Whether a permit of this run that was issued before would still be accepted for each of its seeds."""
    if _issue_of(permit, entries) is None or any(_faults_of_signature(envelope, permit, entries, trusted)):
        return False
    redeemed = {each.seed for each in _redemptions(permit, entries, kept)}
    return set(permit.seeds) <= redeemed or utc_time(datetime.now(UTC)) < permit.expires_at


def _read_or_refuse(envelope: bytes) -> Permit:
    try:
        return read_permit(envelope)
    except EnvelopeRefusedError as error:
        refuse_if(error.faults)
        raise


def _faults_of_issue(permit: Permit, entries: tuple[LedgerEntry, ...], where: str) -> Iterator[str]:
    if permit.issuer is not PermitIssuer.ESCALATION_GATE:
        yield f"it was issued by the {permit.issuer.value}, not by the {PermitIssuer.ESCALATION_GATE.value}"
    if _issue_of(permit, entries) is None:
        yield f"no permit with its digest {permit.digest()} was issued for this run by the ledger {where}"


def _faults_of_signature(
    envelope: bytes, permit: Permit, entries: tuple[LedgerEntry, ...], trusted: Keyring | None
) -> Iterator[str]:
    if trusted is None:
        return
    from tasks.evidence.signing.envelopes import read_envelope, verify_envelope

    issue = _issue_of(permit, entries)
    # The ledger knows when it was issued; who signs says what he likes.
    at = datetime.now(UTC) if issue is None else datetime.fromisoformat(issue.at)
    try:
        verify_envelope(read_envelope(envelope), trusted, KeyRole.PIPELINE, at)
    except EnvelopeRefusedError as error:
        yield from error.faults


def _faults_of_use(
    permit: Permit, redemption: Redemption, entries: tuple[LedgerEntry, ...], kept: KeptPermits
) -> Iterator[str]:
    used = [entry.about for entry in entries if entry.kind is EntryKind.PERMIT_REDEEMED]
    if redemption.digest() in used:
        return
    if utc_time(datetime.now(UTC)) >= permit.expires_at:
        yield f"it expired at {permit.expires_at}, before it was redeemed for this training"
    for digest in used:
        if kept.redemption(digest) is None:
            yield f"what this run redeemed as {digest} is not in {kept.folder}, and may have been this seed"
    for earlier in _redemptions(permit, entries, kept):
        if earlier.seed == redemption.seed:
            yield (
                f"seed {earlier.seed} was redeemed for the training {earlier.training}, and this is the "
                f"training {redemption.training}"
            )


def _issue_of(permit: Permit, entries: tuple[LedgerEntry, ...]) -> LedgerEntry | None:
    digest = permit.digest()
    issued = (entry for entry in entries if entry.kind is EntryKind.PERMIT_ISSUED)
    return next((entry for entry in issued if entry.about == digest), None)


def _redemptions(permit: Permit, entries: tuple[LedgerEntry, ...], kept: KeptPermits) -> Iterator[Redemption]:
    """Those of this permit, as far as they are kept."""
    digest = permit.digest()
    for entry in entries:
        if entry.kind is EntryKind.PERMIT_REDEEMED:
            found = kept.redemption(entry.about)
            if found is not None and found.permit == digest:
                yield found
