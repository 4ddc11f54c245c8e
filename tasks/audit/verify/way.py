"""The steps follow from one another as the ladder has them, and the outcome follows from the last."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_contracts.records.bases import QualityBasis
from data_contracts.records.decision import Decision, Gate, Outcome
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held
from tasks.decisions.ladder import History, Step, next_step, seeds_needed
from tasks.decisions.outcomes import explain_outcome
from tasks.evidence.dossier import REPORT

_GATES = {
    Step.CONTRACT: Gate.CONTRACT,
    Step.POWER: Gate.POWER,
    Step.NEED: Gate.NEED,
    Step.FIT: Gate.FIT,
    Step.FAIRNESS: Gate.FAIRNESS,
    Step.LOOK: Gate.QUALITY,
    Step.SECOND_LOOK: Gate.QUALITY,
    Step.ESCALATION: Gate.ESCALATION,
    Step.JUSTIFICATION: Gate.JUSTIFICATION,
}
_MOST_STEPS = 1000
"""No run takes so many; a forged one may never end."""


def way_faults(held: Held) -> Iterator[FoundFault]:
    policy, report = held.policy, held.report
    decisions = tuple(each.decision for each in held.decisions)
    if policy is None:
        return
    has_reserve = held.snapshot is not None and held.snapshot.split(Split.RESERVE).rows > 0
    outcome = None
    for found in _walk(held, decisions, policy, has_reserve):
        if isinstance(found, Outcome):
            outcome = found
        else:
            yield found
    if report is None:
        if held.manifest is not None:
            yield _fault(REPORT, "it is not there, or cannot be read")
        return
    if report.decisions != decisions:
        yield _fault(REPORT, "its decisions are not those of the files")
    if outcome is not None and report.outcome is not outcome:
        yield _fault(REPORT, f"the decisions lead to {outcome.value}, and it says {report.outcome.value}")
    if outcome is report.outcome and report.sentence != explain_outcome(outcome, decisions):
        yield _fault(REPORT, "its sentence is not the one that its decisions lead to")
    yield from _offered(held, report.accepted_artifact, report.outcome, policy)


def _walk(
    held: Held, decisions: Sequence[Decision], policy: Policy, has_reserve: bool
) -> Iterator[FoundFault | Outcome]:
    history, left = History(), list(zip(decisions, held.decisions, strict=True))
    for _ in range(_MOST_STEPS):
        step = next_step(history, policy=policy, has_reserve=has_reserve)
        if isinstance(step, Outcome):
            for _, each in left:
                yield _fault(each.file, f"the run had ended in {step.value} before it")
            yield step
            return
        gate = _GATES.get(step)
        if gate is None:
            history = _worked(history, step)
            continue
        if not left:
            yield _fault("decisions", f"the {gate.value} gate comes next, and its decision is not there")
            return
        decision, each = left.pop(0)
        if decision.gate is not gate:
            yield _fault(each.file, f"the {gate.value} gate comes here, not {decision.gate.value}")
            return
        basis = each.record.judgement.basis
        if isinstance(basis, QualityBasis):
            wanted = Split.GATE if step is Step.LOOK else Split.RESERVE
            if decision.look is not wanted:
                yield _fault(each.file, f"it looks at {decision.look}, and {wanted} comes here")
            if len(basis.pilot.evidence) < seeds_needed(history, policy):
                needed = seeds_needed(history, policy)
                yield _fault(
                    each.file, f"it rests on {len(basis.pilot.evidence)} seeds; {needed} were needed"
                )
        if gate is Gate.FAIRNESS:
            history = replace(history, judged_pilot_steps=history.pilot_steps)
        history = history.with_decision(decision)


def _worked(history: History, step: Step) -> History:
    match step:
        case Step.PILOT:
            return replace(history, pilot_steps=history.pilot_steps + 1, seeds=1)
        case Step.SEEDS:
            return replace(history, seeds=history.seeds + 1)
        case _:
            return replace(history, full_trained=True)


def _offered(held: Held, artifact: str | None, outcome: Outcome, policy: Policy) -> Iterator[FoundFault]:
    may_offer = outcome.accepted or (outcome is Outcome.FULL_UNJUSTIFIED and policy.escalation.best_effort)
    if artifact is None:
        if outcome.accepted:
            yield _fault(REPORT, f"it says {outcome.value}, and offers nothing")
        return
    if not may_offer:
        yield _fault(REPORT, f"it offers {artifact}, and the run ended in {outcome.value}")
    training = held.trainings.get(artifact.rpartition("/")[0])
    if training is None or artifact.rpartition("/")[2] != training.served:
        yield _fault(REPORT, f"it offers {artifact}, which no training of this dossier serves")
    elif (training.full is not None) != (outcome is not Outcome.PILOT_ACCEPTED):
        yield _fault(REPORT, f"it offers {artifact} of {training.rung}, and the run ended in {outcome.value}")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.WAY, where=where, what=what)
