"""The power gate: can the gate rows decide what they will be asked, before anything is trained?"""

from data_contracts.records.decision import Decision, Gate, RuleResult
from data_contracts.records.looks import RegisteredLook, Registration
from data_contracts.records.metrics import METRICS
from data_contracts.records.policy import OnBreach, Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.rules import all_of, plain_rule
from tasks.decisions.statistics.power import (
    MeanLevel,
    PairedProportions,
    ProportionLevel,
    minimum_detectable_effect,
    power_of,
    rows_needed,
)

LOOKS_LEFT = "looks left at the gate rows"
RESOLVES = "resolves the margin"
RESOLVES_PAIRED = "resolves paired differences"


def decide_power(registration: Registration, *, policy: Policy, run_id: str) -> Decision:
    """Passes when looks are left at the gate rows, and enough rows to decide the level by its margin.

    The level is sized from the target's own variance. What paired rules resolve depends on how many rows
    change between two models, for which the policy registers a bound; it is shown and decides nothing,
    because how large an uplift will be is nobody's requirement.
    """
    gate = next(look for look in registration.looks if look.split is Split.GATE)
    rules = (
        _looks_rule(registration, policy),
        _level_rule(gate, policy),
        *(() if not METRICS[policy.metric].binary else (_paired_rule(gate, policy),)),
    )
    verdict = all_of(rules)
    decisive = [rule.sentence for rule in rules if rule.decides and rule.verdict is not verdict.PASS]
    return Decision(
        gate=Gate.POWER,
        verdict=verdict,
        rules=rules,
        sentence=" ".join(decisive) or rules[1].sentence,
        run_id=run_id,
        policy=policy.digest(),
        evidence=(registration.digest(),),
        registration=registration.digest(),
    )


def _looks_rule(registration: Registration, policy: Policy) -> RuleResult:
    taken, horizon = registration.earlier_looks, policy.looks.horizon
    passed = taken < horizon
    return plain_rule(
        LOOKS_LEFT,
        passed=passed,
        observed=f"{taken} earlier looks at these rows",
        threshold=f"fewer than {horizon}, over which alpha {policy.alpha:g} is spread",
        sentence=(
            f"This would be look {taken + 1} of {horizon} at these rows."
            if passed
            else f"These rows were looked at {taken} times; raise splits.rotation to draw new gate rows."
        ),
        on_breach=policy.looks.on_exhausted,
    )


def _level_rule(look: RegisteredLook, policy: Policy) -> RuleResult:
    sized = _sized_level(policy)
    if sized is None:
        return _unjudged("its spread is not registered (power.standard_deviation)", look)
    if policy.margin == 0.0:
        return plain_rule(
            RESOLVES,
            passed=False,
            observed="a margin of 0",
            threshold="a margin above 0",
            sentence="No number of rows tells a model at the target from one just below: give a margin.",
            on_breach=policy.power.on_breach,
        )
    wanted = policy.power.power
    reached = power_of(sized, look.rows, policy.margin, alpha=look.alpha)
    needed = rows_needed(sized, policy.margin, alpha=look.alpha, power=wanted)
    passed = reached >= wanted
    remedy = "" if passed else ": add rows, widen policy.margin, or plan fewer looks (policy.looks.horizon)"
    return plain_rule(
        RESOLVES,
        passed=passed,
        observed=f"{look.rows:,} rows: power {reached:.0%}",
        threshold=f"power {wanted:.0%}, from {needed:,} rows on",
        sentence=(
            f"A pilot at the target is accepted, and one two margins below it shown short, in {reached:.0%} "
            f"of the runs with {look.rows:,} gate rows; {wanted:.0%} takes {needed:,}{remedy}."
        ),
        on_breach=policy.power.on_breach,
    )


def _paired_rule(look: RegisteredLook, policy: Policy) -> RuleResult:
    discordance = policy.power.discordance
    try:
        effect = minimum_detectable_effect(
            PairedProportions(discordance), look.rows, alpha=look.alpha, power=policy.power.power
        )
        text = f"{effect:.3g} at a discordance of {discordance:g}"
    except ValueError:
        text = f"none at a discordance of {discordance:g}"
    rule = plain_rule(
        RESOLVES_PAIRED,
        passed=True,
        observed=text,
        threshold="none",
        sentence=f"Smallest difference between two models that {look.rows:,} rows resolve: {text}.",
    )
    return rule.model_copy(update={"decides": False})


def _sized_level(policy: Policy) -> ProportionLevel | MeanLevel | None:
    metric = METRICS[policy.metric]
    if metric.binary:
        return ProportionLevel(policy.target if metric.higher_is_better else 1.0 - policy.target)
    deviation = policy.power.standard_deviation
    return MeanLevel(deviation) if deviation is not None else None


def _unjudged(why: str, look: RegisteredLook) -> RuleResult:
    return plain_rule(
        RESOLVES,
        passed=True,
        observed=f"{look.rows:,} rows",
        threshold="not judged",
        sentence=f"Whether {look.rows:,} rows resolve the margin is not judged: {why}.",
        on_breach=OnBreach.WARN,
    )
