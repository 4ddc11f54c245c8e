"""Base weights: changed under one permit, which this run's escalation gate issued, and a person allowed."""

from collections.abc import Iterator

from data_contracts.records.bases import EscalationBasis
from data_contracts.records.decision import Gate, Verdict
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.permit import Permit, PermitIssuer, Redemption
from data_contracts.records.pilots import Approval
from data_contracts.records.policy import ApprovalRule
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import UNREADABLE, Held, HeldDecision
from tasks.evidence.approvals import read_approval
from tasks.evidence.dossier import APPROVAL, PERMIT, REDEMPTIONS, read_permit


def permit_faults(held: Held) -> Iterator[FoundFault]:
    passed = [
        each
        for each in held.decisions
        if each.decision.gate is Gate.ESCALATION and each.decision.verdict is Verdict.PASS
    ]
    full = {name: record for name, record in held.trainings.items() if record.full is not None}
    permit, faults = _read(held)
    yield from faults
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
    for each in held.decisions:
        basis = each.record.judgement.basis
        if isinstance(basis, EscalationBasis):
            if basis.facts.requested_by != each.record.requested_by:
                who = f"{basis.facts.requested_by} as who asked for the run, not {each.record.requested_by}"
                yield _fault(each.file, f"the gate was told {who}")
            yield from _answer(held, each, basis.facts.approval)
            yield from _answer_file(held, each, basis.facts.approval)


def _read(held: Held) -> tuple[Permit | None, list[FoundFault]]:
    path = held.folder / PERMIT
    if not path.is_file():
        return None, []
    try:
        return read_permit(path.read_bytes()), []
    except UNREADABLE as error:
        return None, [_fault(PERMIT, f"it cannot be read: {' '.join(str(error).split())[:300]}")]


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
            redemption = Redemption.model_validate_json((held.folder / file).read_bytes())
        except UNREADABLE as error:
            yield _fault(
                file, f"what {name} was redeemed for cannot be read: {' '.join(str(error).split())[:300]}"
            )
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
        yield _fault(file, f"it cannot be read: {' '.join(str(error).split())[:300]}")
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


def _answer(held: Held, each: HeldDecision, approval: Approval | None) -> Iterator[FoundFault]:
    if each.record.answered_by != (None if approval is None else approval.name):
        yield _fault(each.file, "it names somebody else as who answered than the answer does")
    if held.policy is None or held.policy.escalation.approval is ApprovalRule.NONE:
        return
    if approval is None:
        if each.decision.verdict is Verdict.PASS:
            yield _fault(each.file, "the policy asks for a person's approval, and there is none")
        return
    if approval.name.strip().casefold() == each.record.requested_by.strip().casefold():
        yield _fault(each.file, f"{approval.name} asked for the run and answered for it")
    if not approval.reason.strip() or not approval.name.strip():
        yield _fault(each.file, "the answer has no name, or no reason")


def _answer_file(held: Held, each: HeldDecision, approval: Approval | None) -> Iterator[FoundFault]:
    path = held.folder / APPROVAL
    try:
        found = read_approval(path.read_bytes()) if path.is_file() else None
    except UNREADABLE as error:
        yield _fault(APPROVAL, f"it cannot be read: {' '.join(str(error).split())[:300]}")
        return
    if found != approval:
        yield _fault(APPROVAL, f"it is not the answer that {each.file} rests on")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.PERMIT, where=where, what=what)
