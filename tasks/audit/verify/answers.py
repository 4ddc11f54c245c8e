"""What a person answered to an escalation: by somebody else than who asked, and kept as the gate was told."""

from collections.abc import Iterator

from data_contracts.records.bases import EscalationBasis, EscalationFacts
from data_contracts.records.decision import Verdict
from data_contracts.records.pilots import Approval
from data_contracts.records.policy import ApprovalRule
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held, HeldDecision
from tasks.evidence.dossier import APPROVAL


def answer_faults(held: Held) -> Iterator[FoundFault]:
    for each in held.decisions:
        basis = each.record.judgement.basis
        if isinstance(basis, EscalationBasis):
            yield from _told(each, basis.facts)
            yield from _answer(held, each, basis.facts.approval)
            yield from _file(held, each, basis.facts.approval)


def _told(each: HeldDecision, facts: EscalationFacts) -> Iterator[FoundFault]:
    key = None if facts.approval is None else facts.approval.key
    if facts.signed_by not in (None, key):
        who = f"signed by {facts.signed_by}, and the answer does not say so"
        yield _fault(each.file, f"the gate was told that the answer was {who}")
    if facts.requested_by != each.record.requested_by:
        who = f"{facts.requested_by} as who asked for the run, not {each.record.requested_by}"
        yield _fault(each.file, f"the gate was told {who}")


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


def _file(held: Held, each: HeldDecision, approval: Approval | None) -> Iterator[FoundFault]:
    if held.approval != approval:
        yield _fault(APPROVAL, f"it is not the answer that {each.file} rests on")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.PERMIT, where=where, what=what)
