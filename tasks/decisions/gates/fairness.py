"""The fairness gate: was the pilot a fair test of its method? Judged on ``tune`` alone.

A pilot whose score on ``tune`` clears the target needs no further test. One that is short is tested rule
by rule. Where a rule does not hold and its remedy is left, the decision fails and names the remedy; where
none is left, the pilot is invalid, or its faults are warnings by the policy's leave.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.policy import OnBreach, Policy, Remedy
from data_contracts.records.rungs import Rung
from tasks.decisions.gates.rules import all_of, plain_rule
from tasks.decisions.remedies import (
    ALL_LINEAR,
    adapts_all_layers,
    best_point,
    best_rate_is_bracketed,
    best_trial,
    clears_on_tune,
    fairest_trial,
    first_round,
    rank_helped,
    remedy_is_left,
)

CLEARS = "clears the target on tune"


@dataclass(frozen=True)
class _Tested:
    """A rule and what mends it."""

    rule: RuleResult
    remedy: Remedy | None = None


def decide_fairness(
    trials: Sequence[PilotTrial],
    sweep: Sequence[SweepPoint],
    *,
    unquantised_fits: bool,
    must_be_fair: bool,
    policy: Policy,
    run_id: str,
) -> Decision:
    """Passes for a pilot that clears the target on ``tune``, or was a fair test of its method.

    Args:
        trials: every pilot of the run in the order of training. The method is judged by the fairest of them,
            and the best of them is what will be looked at.
        sweep: every learning rate that was tried.
        unquantised_fits: whether an unquantised pilot fits this machine.
        must_be_fair: set after a look at the gate rows did not pass; clearing ``tune`` is not enough then.
    """
    best, fairest = best_trial(trials, policy), fairest_trial(trials, policy)
    by_clearing = clears_on_tune(best, policy) and not must_be_fair
    tested = (
        [_clears(best, policy)]
        if by_clearing
        else list(_rules(fairest, trials, sweep, unquantised_fits, policy))
    )
    broken = [each for each in tested if each.rule.verdict is Verdict.FAIL]
    # Where something is broken that no remedy mends, mending the rest would be spent for nothing.
    hopeless = any(each.remedy is None and each.rule.decides for each in broken)
    remedy = next(
        (
            each.remedy
            for each in broken
            if not hopeless
            and each.remedy is not None
            and remedy_is_left(each.remedy, trials, sweep, unquantised_fits=unquantised_fits, policy=policy)
        ),
        None,
    )
    rules = tuple(each.rule for each in tested)
    verdict = Verdict.FAIL if remedy is not None else all_of(rules)
    return Decision(
        gate=Gate.FAIRNESS,
        verdict=verdict,
        rules=rules,
        sentence=_sentence(best if by_clearing else fairest, rules, verdict, remedy)
        + _looked_at(best, fairest, by_clearing=by_clearing, verdict=verdict),
        run_id=run_id,
        policy=policy.digest(),
        evidence=tuple(digest for trial in trials for digest in trial.evidence),
        remedy=remedy,
    )


def _looked_at(best: PilotTrial, fairest: PilotTrial, *, by_clearing: bool, verdict: Verdict) -> str:
    if by_clearing or verdict is not Verdict.PASS or best.number == fairest.number:
        return ""
    return f" Pilot {best.number} does better on tune all the same, and is the one looked at."


def passed_by_clearing(decision: Decision) -> bool:
    """Whether a fairness decision rests on the score on ``tune`` alone."""
    return any(rule.name == CLEARS for rule in decision.rules)


def judged_by_leave(decision: Decision) -> bool:
    """Whether a fairness decision passed in spite of broken rules, of which the policy only warns."""
    broken = any(rule.verdict is not Verdict.PASS for rule in decision.rules)
    return decision.verdict is Verdict.PASS and broken


def made_fair(decision: Decision) -> bool:
    """Whether the pilot was a fair test of its method: every rule held, none by leave of the policy.

    A pilot that clears ``tune`` was not tested.
    """
    passed = decision.verdict is Verdict.PASS and decision.remedy is None
    return passed and not passed_by_clearing(decision) and not judged_by_leave(decision)


def _clears(best: PilotTrial, policy: Policy) -> _Tested:
    return _Tested(
        plain_rule(
            CLEARS,
            passed=True,
            observed=f"{policy.metric} {best.tune_score:.4g} on tune",
            threshold=f"{_word(policy)} {policy.target:g}",
            sentence="The pilot is at the target on tune, so whether it could do better need not be asked.",
        )
    )


def _rules(
    best: PilotTrial,
    trials: Sequence[PilotTrial],
    sweep: Sequence[SweepPoint],
    unquantised_fits: bool,
    policy: Policy,
) -> Iterator[_Tested]:
    if best.settings.continues is not None:
        # What the other rules ask can only be asked of the pilot that begins at the base.
        yield _Tested(_beginning_rule(best.settings.continues), Remedy.FROM_BASE)
        return
    rails = policy.fairness.on_breach
    layers = best.settings.target_modules
    yield _Tested(
        plain_rule(
            "all linear layers are adapted",
            passed=adapts_all_layers(best.settings),
            observed=f"{best.settings.method}, {layers if isinstance(layers, str) else ', '.join(layers)}",
            threshold=f"a method of the LoRA family, {ALL_LINEAR}",
            sentence="Adapting some places only loses to adapting all linear layers, whatever the rank.",
            on_breach=rails,
        ),
        Remedy.ALL_LAYERS,
    )
    yield _Tested(_rate_rule(best, sweep, rails), Remedy.SWEEP)
    yield _Tested(
        plain_rule(
            "the base is not quantised where it need not be",
            passed=best.settings.method != Rung.QLORA or not unquantised_fits,
            observed=best.settings.method,
            threshold="lora, where the machine has the memory",
            sentence="A quantised pilot that is short says little where an unquantised one fits.",
            on_breach=rails,
        ),
        Remedy.UNQUANTISE,
    )
    yield _Tested(_steps_rule(best))
    yield _Tested(_signal_rule(best), Remedy.SWEEP if best.diverged else None)
    yield _Tested(_truncation_rule(best, policy))
    yield _Tested(_capacity_rule(best, trials, policy), Remedy.DOUBLE_RANK)


def _beginning_rule(run: str) -> RuleResult:
    return plain_rule(
        "it began at the base",
        passed=False,
        observed=f"it went on from the adapter of {run}",
        threshold="begins at the base, as full would",
        sentence="An adapter that was trained before has had other rows and more steps than full would get.",
    )


def _rate_rule(best: PilotTrial, sweep: Sequence[SweepPoint], on_breach: OnBreach) -> RuleResult:
    points = first_round(sweep)
    tried = ", ".join(f"{point.learning_rate:g}" for point in sorted(points, key=lambda p: p.learning_rate))
    observed = (
        f"best of {tried}: {best_point(points).learning_rate:g}"
        if points
        else f"{best.learning_rate:g} alone was tried"
    )
    return plain_rule(
        "the best learning rate lies between others",
        passed=best_rate_is_bracketed(sweep),
        observed=observed,
        threshold="a lower and a higher rate do worse",
        sentence="A wrong learning rate costs a pilot more than a wrong rank; only a sweep tells.",
        on_breach=on_breach,
    )


def _steps_rule(best: PilotTrial) -> RuleResult:
    """Whoever stopped because ``tune`` no longer improved has had its steps: full would stop by that rule."""
    sentence = f"The pilot was trained for {best.steps:,} of the {best.full_steps:,} steps full would get."
    if best.stopped_early:
        sentence = (
            f"The pilot stopped after {best.steps:,} of {best.full_steps:,} steps because its loss on tune "
            "no longer improved; full would stop by the same rule, so it had the steps that helped it."
        )
    return plain_rule(
        "as many steps as full would get",
        passed=best.stopped_early or best.steps >= best.full_steps,
        observed=f"{best.steps:,} steps" + (", stopped early" if best.stopped_early else ""),
        threshold=f"{best.full_steps:,} steps, or until tune no longer improves",
        sentence=sentence,
    )


def _signal_rule(best: PilotTrial) -> RuleResult:
    return plain_rule(
        "there was something to learn",
        passed=not best.diverged and best.supervised_tokens > 0 and best.lowest_train_loss > 0.0,
        observed=(
            f"training diverged at {best.learning_rate:g}"
            if best.diverged
            else f"{best.supervised_tokens:,} supervised tokens, lowest loss {best.lowest_train_loss:.4g}"
        ),
        threshold="supervised tokens, and a loss above zero",
        sentence="A loss of zero, none at all, or no token to take it on: training taught nothing.",
    )


def _truncation_rule(best: PilotTrial, policy: Policy) -> RuleResult:
    allowed = policy.fairness.maximum_truncated_share
    return plain_rule(
        "few rows are cut short",
        passed=best.truncated_share <= allowed,
        observed=f"{best.truncated_share:.1%} of the training rows",
        threshold=f"at most {allowed:.1%}",
        sentence="What was cut away could not be learnt; raise model.max_tokens.",
        on_breach=policy.fairness.on_breach,
    )


def _capacity_rule(best: PilotTrial, trials: Sequence[PilotTrial], policy: Policy) -> RuleResult:
    helped = rank_helped(trials, policy)
    roomy = best.capacity_bits >= best.information_bits
    may_double = remedy_is_left(Remedy.DOUBLE_RANK, trials, (), unquantised_fits=True, policy=policy)
    passed = helped is False or (roomy and not may_double)
    probe = {
        None: "twice the rank was not tried",
        True: "twice the rank helped",
        False: "twice the rank did not help, so full fine-tuning is unlikely to either",
    }[helped]
    return plain_rule(
        "the adapter has the capacity",
        passed=passed,
        observed=(
            f"rank {best.settings.rank}: room for {best.capacity_bits / 1e6:.3g} Mbit, at most "
            f"{best.information_bits / 1e6:.3g} Mbit to learn; {probe}"
        ),
        threshold="twice the rank does not help, or there is room and the policy allows no higher rank",
        sentence=f"At rank {best.settings.rank} {probe}.",
        on_breach=policy.fairness.on_breach,
    )


def _sentence(best: PilotTrial, rules: Sequence[RuleResult], verdict: Verdict, remedy: Remedy | None) -> str:
    if remedy is not None:
        return f"Pilot {best.number} is not a fair test yet; the remedy is {remedy.value.replace('_', ' ')}."
    if verdict is Verdict.FAIL:
        broken = ", ".join(rule.name for rule in rules if rule.verdict is Verdict.FAIL)
        return f"Pilot {best.number} is not a fair test, and no remedy is left. Not held: {broken}."
    if any(rule.name == CLEARS for rule in rules):
        return f"Pilot {best.number} clears the target on tune."
    warned = [rule.name for rule in rules if rule.verdict is Verdict.FAIL]
    if warned:
        return f"Pilot {best.number} is judged although it was not made fair: {', '.join(warned)} (warnings)."
    return f"Pilot {best.number} is a fair test of its method."


def _word(policy: Policy) -> str:
    return "at least" if policy.measure.higher_is_better else "at most"
