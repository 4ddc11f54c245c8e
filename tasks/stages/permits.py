"""The run's permit: issued when the escalation gate has passed, redeemed before anything is trained under it.

What is trained under a permit comes through here: ``train_full`` redeems, and ``train_rung`` asks the ledger
once more whether what it was given has been redeemed for exactly the training that it is about to begin.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_contracts.errors import EnvelopeRefusedError, PermitRefusedError
from data_contracts.records.base import utc_time
from data_contracts.records.bases import EscalationBasis
from data_contracts.records.decision import Gate
from data_contracts.records.ledger import EntryKind
from data_contracts.records.permit import Permit, PermitIssuer, refuse_if
from tasks.decisions.gates import issue_permit
from tasks.evidence.dossier import PERMIT, REDEMPTIONS, read_permit
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.redeeming import Redeemed, Work, may_be_used_again, redeem
from tasks.evidence.signing.payloads import key_ids
from tasks.evidence.signing.signers import trusted_keys
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.recording import record_permit, sign_permit
from tasks.stages.watching import listener
from tasks.training.rungs import FullRung


def issue(context: RunContext, findings: Findings) -> Permit:
    """The permit of this run, in dossier and ledger.

    A run that goes on uses the one it had, if the gate would give the same again and it can be redeemed.

    Raises:
        PermitRefusedError: the escalation gate has not passed.
    """
    fresh = _fresh(context, findings)
    envelope = _had_before(context, fresh) or sign_permit(fresh)
    permit = read_permit(envelope)
    record_permit(context, permit, envelope)
    signed = "signed" if key_ids(envelope) else "unsigned"
    listener().noted(f"Permit for {permit.rung}, {signed}: {permit.terms}.")
    return permit


def redeem_here(context: RunContext, work: Work) -> Redeemed:
    """Redeems the dossier's permit for ``work``; the redemption goes into the dossier too.

    Raises:
        PermitRefusedError: with everything that is wrong; nothing was redeemed.
        LedgerError: nothing was redeemed.
    """
    try:
        envelope = (context.dossier.folder / PERMIT).read_bytes()
    except OSError as error:
        refuse_if([f"there is none: {error.filename} cannot be read ({error.strerror})"])
        raise
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        redeemed = redeem(ledger, _kept(context), envelope, work, trusted_keys())
    context.dossier.write_record(f"{REDEMPTIONS}/seed-{work.seed}.json", redeemed.redemption)
    return redeemed


def require_asked_for(context: RunContext, work: Work) -> None:
    """Returns only if the run itself has redeemed its permit for ``work`` before.

    What trains for a run elsewhere is asked by anybody who can start a deployment, and redeems nothing that
    the run has not.

    Raises:
        PermitRefusedError: it has not, or for another training.
    """
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        entries = [each for each in ledger.entries(context.run_id) if each.kind is EntryKind.PERMIT_REDEEMED]
    kept = _kept(context)
    redeemed = [kept.redemption(entry.about) for entry in entries]
    asked = any(each and (each.seed, each.training) == (work.seed, work.training) for each in redeemed)
    refuse_if(
        []
        if asked
        else [f"run {work.run_id} has redeemed none for the training {work.training} with seed {work.seed}"]
    )


def require_redeemed(context: RunContext, rung: FullRung, training: str) -> None:
    """Returns only if the ledger holds that this run redeemed its permit for the ``training``.

    Raises:
        PermitRefusedError: with everything that is wrong.
    """
    redemption = rung.redemption
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        entries = [each for each in ledger.entries(context.run_id) if each.kind is EntryKind.PERMIT_REDEEMED]
    known = redemption.digest() in {entry.about for entry in entries}
    checks = (
        (rung.run_id == context.run_id, f"it is for run {rung.run_id}, and this is run {context.run_id}"),
        (known, f"the ledger holds no redemption of it for seed {redemption.seed} by this run"),
        (
            redemption.training == training,
            f"it was redeemed for the training {redemption.training}, and this is the training {training}",
        ),
    )
    refuse_if(told for holds, told in checks if not holds)


def require_issued_by_a_gate(stage: Path) -> None:
    """Returns only if what is stored in ``stage`` was trained under a permit of an escalation gate.

    Raises:
        PermitRefusedError: it was trained under another, or under none that can be read.
    """
    try:
        issuer = read_permit((stage / PERMIT).read_bytes()).issuer
    except (OSError, EnvelopeRefusedError) as error:
        raise PermitRefusedError(
            f"A stored result was refused: {stage / PERMIT} cannot be read as the permit that it was trained "
            f"under ({error})\n  to do: remove the folder, and run again"
        ) from error
    if issuer is not PermitIssuer.ESCALATION_GATE:
        raise PermitRefusedError(
            f"A stored result was refused: what lies in {stage} was trained under a permit of the "
            f"{issuer.value}.\n  to do: remove the folder, and run again"
        )


def _fresh(context: RunContext, findings: Findings) -> Permit:
    assert findings.snapshot is not None
    escalation = findings.history.last(Gate.ESCALATION)
    assert escalation is not None
    settings, now = context.settings, datetime.now(UTC)
    valid = timedelta(hours=settings.policy.escalation.permit_valid_hours)
    return issue_permit(
        escalation,
        snapshot=findings.snapshot.record.digest(),
        base_model=findings.base.identity(),
        rung=settings.full.method,
        seeds=settings.permitted_seeds,
        price_processor_hours=_forecast_hours(context, escalation.digest()),
        issued_at=utc_time(now),
        expires_at=utc_time(now + valid),
    )


def _forecast_hours(context: RunContext, escalation: str) -> float:
    """What the gate was told that full will take, from the record of its decision."""
    for record in context.dossier.decision_records():
        judgement = record.judgement
        if judgement.decision.digest() == escalation and isinstance(judgement.basis, EscalationBasis):
            return judgement.basis.facts.processor_hours_of_full
    raise PermitRefusedError(
        f"No permit: {context.dossier.folder} holds no decision of the escalation gate with the digest "
        f"{escalation}."
    )


def _had_before(context: RunContext, fresh: Permit) -> bytes | None:
    kept = _kept(context)
    envelope = kept.newest()
    if envelope is None:
        return None
    try:
        earlier = read_permit(envelope)
    except EnvelopeRefusedError:
        return None
    times = {"issued_at": fresh.issued_at, "expires_at": fresh.expires_at}
    if earlier.model_copy(update=times) != fresh:
        return None
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        entries = tuple(ledger.entries(context.run_id))
    return envelope if may_be_used_again(envelope, earlier, entries, kept, trusted_keys()) else None


def _kept(context: RunContext) -> KeptPermits:
    return KeptPermits.of(context.settings.output, context.run_id)
