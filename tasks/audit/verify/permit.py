"""Base weights: changed under one permit, which this run's escalation gate issued, and a person allowed."""

from collections.abc import Iterator

from data_contracts.errors import one_line
from data_contracts.records.bases import EscalationBasis
from data_contracts.records.decision import Gate, Verdict
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.permit import Permit, PermitIssuer, Redemption
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.answers import answer_faults
from tasks.audit.verify.held import UNREADABLE, Held, HeldDecision
from tasks.evidence.dossier import PERMIT, REDEMPTIONS, read_permit


def permit_faults(held: Held) -> Iterator[FoundFault]:
    passed = [
        each
        for each in held.decisions
        if each.decision.gate is Gate.ESCALATION and each.decision.verdict is Verdict.PASS
    ]
    full = {name: record for name, record in held.trainings.items() if record.full is not None}
    permit = held.permit
    if permit is None:
        for name in full:
            yield _fault(
                f"{name}/evidence.json", "base weights were updated, and the dossier holds no permit"
            )
    elif not passed:
        yield _fault(PERMIT, "there is a permit, and no escalation gate that passed")
    else:
        yield from _issued(held, permit, passed[-1])
        yield from _redeemed(held, permit, full)
    yield from answer_faults(held)


def _issued(held: Held, permit: Permit, escalation: HeldDecision) -> Iterator[FoundFault]:
    if permit.decision != escalation.decision:
        yield _fault(PERMIT, f"the decision that it rests on is not that of {escalation.file}")
    basis = escalation.record.judgement.basis
    price = permit.price_processor_hours
    if isinstance(basis, EscalationBasis) and basis.facts.processor_hours_of_full != price:
        told = basis.facts.processor_hours_of_full
        yield _fault(PERMIT, f"its price is {price} processor hours, and {told} were forecast")
    expected = {
        "issuer": PermitIssuer.ESCALATION_GATE,
        "run_id": held.run_id,
        "policy": held.policy.digest() if held.policy else permit.policy,
        "snapshot": held.snapshot.digest() if held.snapshot else permit.snapshot,
        "base_model": held.base.identity() if held.base else permit.base_model,
        "rung": held.settings.full.method if held.settings else permit.rung,
        "seeds": held.settings.permitted_seeds if held.settings else permit.seeds,
    }
    for name, value in expected.items():
        if getattr(permit, name) != value:
            yield _fault(PERMIT, f"its {name} is {getattr(permit, name)}, and the run's {value}")


def _redeemed(held: Held, permit: Permit, full: dict[str, TrainingEvidence]) -> Iterator[FoundFault]:
    """Each training that updated base weights: redeemed in this run, its weights made under a permit."""
    for name, record in full.items():
        file = f"{REDEMPTIONS}/seed-{record.seed}.json"
        try:
            redemption = Redemption.as_written((held.folder / file).read_bytes())
        except UNREADABLE as error:
            yield _fault(file, f"what {name} was redeemed for cannot be read: {one_line(error)}")
            continue
        expected = {"permit": permit.digest(), "run_id": held.run_id, "seed": record.seed}
        for what, value in expected.items():
            if getattr(redemption, what) != value:
                yield _fault(file, f"its {what} is {getattr(redemption, what)}, and should be {value}")
        yield from _trained_under(held, name, record)


def _trained_under(held: Held, name: str, record: TrainingEvidence) -> Iterator[FoundFault]:
    """The permit beside the weights is that of the run that made them, which may be an earlier one."""
    file = f"{name}/{PERMIT}"
    try:
        permit = read_permit((held.folder / file).read_bytes())
    except UNREADABLE as error:
        yield _fault(file, f"it cannot be read: {one_line(error)}")
        return
    if permit.digest() != record.permit:
        yield _fault(file, "it is not the permit that the training names")
    if permit.issuer is not PermitIssuer.ESCALATION_GATE:
        yield _fault(file, f"it was issued by the {permit.issuer.value}: this was trained for a benchmark")
    for what in permit.faults(
        run_id=permit.run_id,
        snapshot=record.snapshot,
        base_model=record.base_model,
        policy=held.policy.digest() if held.policy else permit.policy,
        rung=record.rung,
        seed=record.seed,
    ):
        yield _fault(file, what)


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.PERMIT, where=where, what=what)
