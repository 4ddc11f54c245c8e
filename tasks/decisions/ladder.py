"""The way through: which step a run takes next, as a pure function of what it has done and decided.

The flow does what ``next_step`` says and nothing else, so that what can be proved here by walking every
sequence of verdicts holds for every run: full fine-tuning is never reached without a fair pilot that was
shown short, remedies that are spent, and an escalation gate that passed.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from data_contracts.records.decision import Decision, Gate, Outcome, Verdict
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.fairness import judged_by_leave, made_fair, passed_by_clearing
from tasks.decisions.gates.guardrails import harmed
from tasks.decisions.gates.rules import LEVEL


class Step(StrEnum):
    """What a run does next. Each is a gate, or the work that the next gate needs."""

    CONTRACT = "contract"
    POWER = "power"
    NEED = "need"
    FIT = "fit"
    PILOT = "pilot"
    """Train the first pilot, or the next one with the remedy that the last fairness decision names."""
    FAIRNESS = "fairness"
    SEEDS = "seeds"
    """Train the best pilot again from further seeds."""
    LOOK = "look"
    """Score on ``gate``; the quality gate."""
    SECOND_LOOK = "second look"
    """Score on the sealed ``reserve``; the quality gate again."""
    ESCALATION = "escalation"
    FULL = "full"
    JUSTIFICATION = "justification"


@dataclass(frozen=True)
class History:
    """What a run has done so far."""

    decisions: tuple[Decision, ...] = ()
    pilot_steps: int = 0
    """How often pilots were trained: first, and then once a remedy."""
    judged_pilot_steps: int = 0
    """After how many of these the fairness gate has judged."""
    seeds: int = 0
    """Trainings of the best pilot, its first included."""
    full_trained: bool = False

    def with_decision(self, decision: Decision) -> "History":
        return replace(self, decisions=(*self.decisions, decision))

    def last(self, gate: Gate) -> Decision | None:
        return next((each for each in reversed(self.decisions) if each.gate is gate), None)

    @property
    def looks(self) -> tuple[Decision, ...]:
        return tuple(each for each in self.decisions if each.gate is Gate.QUALITY)


def demands_fairness(history: History) -> bool:
    """Whether clearing ``tune`` is no longer enough: a look at the gate rows did not show the level."""
    return bool(history.looks) and _level(history.looks[-1]) is not Verdict.PASS


def seeds_needed(history: History, policy: Policy) -> int:
    """How many seeds the next look needs: a pilot that may come to escalate is asked more of."""
    fairness = history.last(Gate.FAIRNESS)
    may_escalate = fairness is not None and made_fair(fairness)
    return policy.seeds.to_escalate if may_escalate else policy.seeds.to_pass


def next_step(history: History, *, policy: Policy, has_reserve: bool) -> Step | Outcome:
    """The next step of a run, or the outcome it has ended in.

    Raises:
        ValueError: the decisions are in an order that no run can have.
    """
    for gate, step, outcome in (
        (Gate.CONTRACT, Step.CONTRACT, Outcome.DATA_REJECTED),
        (Gate.POWER, Step.POWER, Outcome.UNDERPOWERED),
        (Gate.NEED, Step.NEED, Outcome.BASE_SUFFICES),
        (Gate.FIT, Step.FIT, Outcome.INFEASIBLE),
    ):
        decision = history.last(gate)
        if decision is None:
            return step
        if decision.verdict is not Verdict.PASS:
            return outcome
    if not history.looks:
        return _towards_a_look(history, policy, Step.LOOK)
    return _after_a_look(history, policy, has_reserve=has_reserve)


def _towards_a_look(history: History, policy: Policy, look: Step) -> Step | Outcome:
    """Pilots and remedies until the pilot may be judged, seeds, and then the look."""
    if history.judged_pilot_steps < history.pilot_steps:
        return Step.FAIRNESS
    fairness = history.last(Gate.FAIRNESS)
    if fairness is None:
        return Step.PILOT
    if demands_fairness(history) and passed_by_clearing(fairness):
        return Step.FAIRNESS
    if fairness.verdict is not Verdict.PASS:
        return Step.PILOT if fairness.remedy is not None else Outcome.PILOT_INVALID
    return Step.SEEDS if history.seeds < seeds_needed(history, policy) else look


def _after_a_look(history: History, policy: Policy, *, has_reserve: bool) -> Step | Outcome:
    quality = history.looks[-1]
    if quality.verdict is Verdict.PASS:
        return Outcome.PILOT_ACCEPTED
    if harmed(quality.rules):
        return Outcome.UNSAFE
    escalation = history.last(Gate.ESCALATION)
    if escalation is not None:
        return _after_escalation(history, escalation)
    if _may_be_asked_to_escalate(history, quality, policy):
        return Step.ESCALATION
    if _shown_short_and_unfair(history, quality):
        return Outcome.PILOT_INVALID
    shown_useless = quality.verdict is Verdict.FAIL and _level(quality) is Verdict.PASS
    if shown_useless or quality.look is Split.RESERVE or not has_reserve:
        return Outcome.INCONCLUSIVE
    return _towards_a_look(history, policy, Step.SECOND_LOOK)


def _may_be_asked_to_escalate(history: History, quality: Decision, policy: Policy) -> bool:
    fairness = history.last(Gate.FAIRNESS)
    level = next(rule for rule in quality.rules if rule.name == LEVEL)
    return (
        level.verdict is Verdict.FAIL
        and level.interval is not None
        and level.interval.seeds >= policy.seeds.to_escalate
        and fairness is not None
        and made_fair(fairness)
        and _is_about_what_was_looked_at(fairness, quality, history)
    )


def _shown_short_and_unfair(history: History, quality: Decision) -> bool:
    """A shortfall of a pilot that was judged by leave of the policy, without having been made fair.

    It proves nothing about the method, and another look would not make it fairer.
    """
    fairness = history.last(Gate.FAIRNESS)
    return (
        _level(quality) is Verdict.FAIL
        and fairness is not None
        and judged_by_leave(fairness)
        and _is_about_what_was_looked_at(fairness, quality, history)
    )


def _is_about_what_was_looked_at(fairness: Decision, quality: Decision, history: History) -> bool:
    """A fairness decision made after the look is about a pilot that the look has not seen."""
    return history.decisions.index(fairness) < history.decisions.index(quality)


def _after_escalation(history: History, escalation: Decision) -> Step | Outcome:
    if escalation.verdict is Verdict.INCONCLUSIVE:
        return Outcome.AWAITING_APPROVAL
    if escalation.verdict is Verdict.FAIL:
        return Outcome.ESCALATION_DENIED
    justification = history.last(Gate.JUSTIFICATION)
    if justification is None:
        return Step.JUSTIFICATION if history.full_trained else Step.FULL
    passed = justification.verdict is Verdict.PASS
    return Outcome.FULL_ACCEPTED if passed else Outcome.FULL_UNJUSTIFIED


def _level(quality: Decision) -> Verdict:
    return next(rule.verdict for rule in quality.rules if rule.name == LEVEL)
