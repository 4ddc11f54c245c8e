"""Every sequence of verdicts that a run can meet is walked; nothing reaches full without its reasons."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from data_contracts.records.decision import (
    Decision,
    Gate,
    Interval,
    Outcome,
    RuleResult,
    Verdict,
)
from data_contracts.records.policy import Policy, Remedy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates import decide_escalation, issue_permit
from tasks.decisions.gates.escalation import subject_of
from tasks.decisions.gates.fairness import CLEARS, passed_by_clearing
from tasks.decisions.gates.guardrails import GUARDRAIL
from tasks.decisions.gates.rules import LEVEL, UPLIFT
from tasks.decisions.ladder import History, Step, demands_fairness, next_step
from tasks.decisions.outcomes import explain_outcome
from tests.tasks.decisions.conftest import DIGEST, ENOUGH, ISSUED, RUN, answer

PASS, FAIL, DOUBT = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
POLICIES = {
    name: Policy(extends=name, metric="accuracy", target=0.9, margin=0.02)
    for name in ("default", "strict", "exploratory")
}
REMEDIES = 2
"""How often a remedy is found in one walk; what follows a remedy does not depend on how many came before."""


@dataclass(frozen=True)
class Walk:
    """One way through."""

    steps: tuple[Step, ...]
    history: History
    outcome: Outcome


def rule(name: str, verdict: Verdict, seeds: int = 1) -> RuleResult:
    interval = Interval(mean=0.5, lower=0.4, upper=0.6, alpha=0.05, rows=10, method="made up", seeds=seeds)
    return RuleResult(name=name, observed="", interval=interval, threshold="", verdict=verdict, sentence="")


BY_LEAVE = rule("the best learning rate lies between others", FAIL).model_copy(update={"decides": False})
"""A broken rule of the fairness gate that the policy only warns of."""


@cache
def decision(
    policy: str,
    gate: Gate,
    verdict: Verdict,
    *rules: RuleResult,
    look: Split | None = None,
    remedy: Remedy | None = None,
) -> Decision:
    return Decision(
        gate=gate,
        verdict=verdict,
        rules=rules or (rule("made up", verdict),),
        sentence="",
        run_id=RUN,
        policy=POLICIES[policy].digest(),
        evidence=(DIGEST,),
        look=look,
        remedy=remedy,
    )


@cache
def quality(policy: str, level: Verdict, other: Verdict, harm: Verdict, seeds: int, look: Split) -> Decision:
    rules = (rule(LEVEL, level, seeds), rule(UPLIFT, other, seeds), rule(GUARDRAIL + "x", harm, seeds))
    verdicts = {each.verdict for each in rules}
    verdict = FAIL if FAIL in verdicts else DOUBT if DOUBT in verdicts else PASS
    return decision(policy, Gate.QUALITY, verdict, *rules, look=look)


def after(step: Step, history: History, name: str) -> Iterator[History]:
    """Everything that ``step`` can come to."""
    policy = name
    match step:
        case Step.CONTRACT | Step.POWER | Step.NEED | Step.FIT:
            for verdict in Verdict:
                yield history.with_decision(decision(policy, Gate(step.value), verdict))
        case Step.PILOT:
            # A sweep may find the rate in use to be the best: nothing is trained, and the seeds stay.
            for seeds in {1, max(1, history.seeds)}:
                yield replace(history, pilot_steps=history.pilot_steps + 1, seeds=seeds)
        case Step.FAIRNESS:
            judged = replace(history, judged_pilot_steps=history.pilot_steps)
            if not demands_fairness(history):
                yield judged.with_decision(decision(policy, Gate.FAIRNESS, PASS, rule(CLEARS, PASS)))
            yield judged.with_decision(decision(policy, Gate.FAIRNESS, PASS))
            yield judged.with_decision(decision(policy, Gate.FAIRNESS, PASS, BY_LEAVE))
            yield judged.with_decision(decision(policy, Gate.FAIRNESS, FAIL))
            if history.pilot_steps <= REMEDIES:
                yield judged.with_decision(decision(policy, Gate.FAIRNESS, FAIL, remedy=Remedy.SWEEP))
        case Step.SEEDS:
            yield replace(history, seeds=history.seeds + 1)
        case Step.LOOK | Step.SECOND_LOOK:
            split = Split.GATE if step is Step.LOOK else Split.RESERVE
            for level in Verdict:
                for other in Verdict:
                    for harm in Verdict:
                        yield history.with_decision(quality(policy, level, other, harm, history.seeds, split))
        case Step.ESCALATION:
            shown, fair = history.last(Gate.QUALITY), history.last(Gate.FAIRNESS)
            assert shown is not None and fair is not None
            for each in escalations(shown, fair, policy):
                yield history.with_decision(each)
        case Step.FULL:
            yield replace(history, full_trained=True)
        case Step.JUSTIFICATION:
            for verdict in Verdict:
                yield history.with_decision(decision(policy, Gate.JUSTIFICATION, verdict))


@cache
def escalations(shown: Decision, fair: Decision, policy: str) -> tuple[Decision, ...]:
    """What the real gate says, on every kind of fact."""
    subject = subject_of(shown)
    answers = [
        None,
        answer(reason="needed", subject=subject),
        answer(approved=False, reason="too dear", subject=subject),
        answer(reason="for something else"),
    ]
    said = [
        decide_escalation(
            shown,
            fair,
            ENOUGH.model_copy(update={"train_rows": rows, "approval": given}),
            policy=POLICIES[policy],
            run_id=RUN,
        )
        for rows in (10, 10_000)
        for given in answers
    ]
    # The same verdict leads the same way.
    return tuple({each.verdict: each for each in said}.values())


def walks(name: str, *, has_reserve: bool) -> Iterator[Walk]:
    stack: list[tuple[tuple[Step, ...], History]] = [((), History())]
    while stack:
        steps, history = stack.pop()
        step = next_step(history, policy=POLICIES[name], has_reserve=has_reserve)
        if isinstance(step, Outcome):
            yield Walk(steps, history, step)
            continue
        assert len(steps) < 60, steps
        stack += [((*steps, step), each) for each in after(step, history, name)]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("has_reserve", [True, False], ids=["reserve", "no reserve"])
def test_no_way_through_reaches_full_without_its_reasons(name: str, has_reserve: bool) -> None:
    policy, seen = POLICIES[name], set()
    for walk in walks(name, has_reserve=has_reserve):
        seen.add(walk.outcome)
        looks = walk.history.looks
        assert [each.look for each in looks] in ([], [Split.GATE], [Split.GATE, Split.RESERVE])
        assert len(looks) < 2 or has_reserve
        if any(shows_harm(each) for each in looks):
            assert walk.outcome is Outcome.UNSAFE and Step.ESCALATION not in walk.steps
        if Step.ESCALATION in walk.steps:
            assert level_of(looks[-1]).verdict is FAIL  # no doubt escalates
        if walk.outcome is Outcome.PILOT_INVALID:
            fairness = walk.history.last(Gate.FAIRNESS)
            assert fairness is not None and fairness.remedy is None  # no run ends with a remedy unspent
        if Step.FULL in walk.steps:
            assert_reasons(walk, policy)
        else:
            assert walk.outcome not in {Outcome.FULL_ACCEPTED, Outcome.FULL_UNJUSTIFIED}
    reachable = set(Outcome)
    if policy.escalation.approval.value == "none":
        reachable.remove(Outcome.AWAITING_APPROVAL)
    assert seen == reachable


def assert_reasons(walk: Walk, policy: Policy) -> None:
    """A fair pilot, shown short over enough seeds, with no remedy left, and an escalation that passed."""
    last = {each.gate: each for each in walk.history.decisions}
    level = level_of(last[Gate.QUALITY])
    assert level.verdict is FAIL and level.interval is not None
    assert level.interval.seeds >= policy.seeds.to_escalate
    fairness = last[Gate.FAIRNESS]
    assert fairness.verdict is PASS and fairness.remedy is None and not passed_by_clearing(fairness)
    assert all(each.verdict is PASS for each in fairness.rules)  # fair, and not judged by leave
    assert last[Gate.ESCALATION].verdict is PASS
    assert issue_permit(last[Gate.ESCALATION], **ISSUED)
    assert walk.steps.index(Step.ESCALATION) < walk.steps.index(Step.FULL)
    order = {each.gate: index for index, each in enumerate(walk.history.decisions)}
    # The pilot that was made fair is the one that was looked at, not one trained after the look.
    assert order[Gate.FAIRNESS] < order[Gate.QUALITY] < order[Gate.ESCALATION]


@pytest.mark.parametrize(("cleared", "seeds"), [(True, 5), (False, 1), (False, 4)])
def test_a_shortfall_that_may_not_escalate_yet_gets_the_second_look(cleared: bool, seeds: int) -> None:
    """Fairness by clearing ``tune``, or too few seeds: the run is made good first, and not denied."""
    history = History(pilot_steps=1, judged_pilot_steps=1, seeds=seeds)
    for gate in (Gate.CONTRACT, Gate.POWER, Gate.NEED, Gate.FIT):
        history = history.with_decision(decision("default", gate, PASS))
    rules = (rule(CLEARS, PASS),) if cleared else ()
    history = history.with_decision(decision("default", Gate.FAIRNESS, PASS, *rules))
    history = history.with_decision(quality("default", FAIL, PASS, PASS, seeds, Split.GATE))
    step = next_step(history, policy=POLICIES["default"], has_reserve=True)
    assert step is (Step.FAIRNESS if cleared else Step.SEEDS)
    alone = next_step(history, policy=POLICIES["default"], has_reserve=False)
    assert alone is Outcome.INCONCLUSIVE


def test_a_pilot_that_cleared_tune_and_came_out_short_gets_its_remedies() -> None:
    """Judged again after the look, it is found unfair: that asks for the remedy, and does not end the run."""
    history = History(pilot_steps=1, judged_pilot_steps=1, seeds=1)
    for gate in (Gate.CONTRACT, Gate.POWER, Gate.NEED, Gate.FIT):
        history = history.with_decision(decision("default", gate, PASS))
    history = history.with_decision(decision("default", Gate.FAIRNESS, PASS, rule(CLEARS, PASS)))
    history = history.with_decision(quality("default", FAIL, PASS, PASS, 1, Split.GATE))
    assert next_step(history, policy=POLICIES["default"], has_reserve=True) is Step.FAIRNESS
    broken = rule("the best learning rate lies between others", FAIL)
    history = history.with_decision(decision("default", Gate.FAIRNESS, FAIL, broken, remedy=Remedy.SWEEP))
    assert next_step(history, policy=POLICIES["default"], has_reserve=True) is Step.PILOT


@pytest.mark.parametrize("split", [Split.GATE, Split.RESERVE])
def test_a_pilot_judged_by_leave_of_the_policy_may_pass_and_never_escalates(split: Split) -> None:
    history = History(pilot_steps=1, judged_pilot_steps=1, seeds=5)
    for gate in (Gate.CONTRACT, Gate.POWER, Gate.NEED, Gate.FIT):
        history = history.with_decision(decision("exploratory", gate, PASS))
    history = history.with_decision(decision("exploratory", Gate.FAIRNESS, PASS, BY_LEAVE))
    ends = {}
    for level in (PASS, FAIL):
        looked = history.with_decision(quality("exploratory", level, PASS, PASS, 5, split))
        ends[level] = next_step(looked, policy=POLICIES["exploratory"], has_reserve=True)
    assert ends == {PASS: Outcome.PILOT_ACCEPTED, FAIL: Outcome.PILOT_INVALID}


def level_of(decision: Decision) -> RuleResult:
    return next(each for each in decision.rules if each.name == LEVEL)


def shows_harm(decision: Decision) -> bool:
    return any(each.name.startswith(GUARDRAIL) and each.verdict is FAIL for each in decision.rules)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_explained(outcome: Outcome) -> None:
    for level in Verdict:
        for other in Verdict:
            shown = quality("default", level, other, PASS, 1, Split.GATE)
            assert len(explain_outcome(outcome, [shown])) > 30
