"""The power gate: can the gate rows decide what they will be asked, before anything is trained?"""

from dataclasses import dataclass

from data_contracts.records.decision import Decision, Gate, RuleResult
from data_contracts.records.looks import RegisteredLook, Registration
from data_contracts.records.policy import OnBreach, Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.rules import all_of, plain_rule
from tasks.decisions.looks import looks_are_left
from tasks.decisions.statistics.chances import ONE_SEED, SeedNoise
from tasks.decisions.statistics.power import (
    MOST_ROWS,
    MeanLevel,
    PairedProportions,
    ProportionLevel,
    minimum_detectable_effect,
    rows_needed,
)

LOOKS_LEFT = "looks left at the gate rows"
RESOLVES = "resolves the margin"
RESOLVES_SHORTFALL = "resolves a shortfall"
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
        *_shortfall_rules(gate, policy),
        *(() if not policy.measure.binary else (_paired_rule(gate, policy),)),
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
    taken, spent = registration.earlier_looks, registration.alpha_spent
    own = sum(look.alpha for look in registration.looks)
    passed = looks_are_left(spent, own, policy)
    return plain_rule(
        LOOKS_LEFT,
        passed=passed,
        observed=f"{taken} earlier looks at these rows, which spent {spent:.3g}",
        threshold=f"with {own:.3g} for this run at most alpha {policy.alpha:g}",
        sentence=(
            f"Earlier runs have looked at these rows {taken} times; this run may."
            if passed
            else f"These rows were looked at {taken} times and may not be again; raise splits.rotation to "
            "draw new gate rows (or mark others, in data with splits of its own)."
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
    noise = _noise(look, policy, policy.seeds.to_pass)
    reached = sized.chance_to_pass(look.rows, policy.margin, look.alpha, noise)
    needed = _rows_needed(sized, look, policy)
    passed = reached >= wanted
    remedy = "" if passed else ": add rows, widen policy.margin, or plan fewer looks (policy.looks.horizon)"
    return plain_rule(
        RESOLVES,
        passed=passed,
        observed=f"{look.rows:,} rows: power {reached:.0%}",
        threshold=f"power {wanted:.0%}, from {needed} rows on",
        sentence=(
            f"A pilot truly at the target is accepted in {reached:.0%} of the runs with {look.rows:,} gate "
            f"rows; {wanted:.0%} takes {needed}{remedy}."
        ),
        on_breach=policy.power.on_breach,
    )


def _shortfall_rules(look: RegisteredLook, policy: Policy) -> tuple[RuleResult, ...]:
    """How likely a shortfall is to be shown. It decides nothing: where it is not, nor is full fine-tuning."""
    sized = _sized_level(policy)
    if sized is None or policy.margin == 0.0:
        return ()
    noise = _noise(look, policy, policy.seeds.to_escalate)
    reached = sized.chance_to_be_short(look.rows, policy.margin, look.alpha, noise)
    rule = plain_rule(
        RESOLVES_SHORTFALL,
        passed=True,
        observed=f"power {reached:.0%} over {noise.seeds} seeds",
        threshold="none",
        sentence=(
            f"A pilot two margins below the target is shown short in {reached:.0%} of the runs, over "
            f"{noise.seeds} seeds whose means spread by {noise.deviation:.3g}."
        ),
    )
    return (rule.model_copy(update={"decides": False}),)


def _noise(look: RegisteredLook, policy: Policy, seeds: int) -> SeedNoise:
    """The spread of seed means: of the method itself, and of which rows each seed gets right.

    Two seeds that disagree on a share d of the rows have means that each stand off by sqrt(d / 2 / rows) from
    what they share.
    """
    if seeds == 1:
        return ONE_SEED
    luck = policy.power.discordance / 2.0 / max(1, look.rows) if policy.measure.binary else 0.0
    return SeedNoise(seeds=seeds, deviation=(policy.power.seed_spread**2 + luck) ** 0.5)


@dataclass(frozen=True)
class _PassingOnly:
    """A rule of which only the chance to pass counts."""

    rule: ProportionLevel | MeanLevel

    @property
    def widest_margin(self) -> float:
        return self.rule.widest_margin

    def chance_to_pass(self, rows: int, margin: float, alpha: float, noise: SeedNoise) -> float:
        return self.rule.chance_to_pass(rows, margin, alpha, noise)

    def chance_to_be_short(self, rows: int, margin: float, alpha: float, noise: SeedNoise) -> float:
        return 1.0


def _rows_needed(sized: ProportionLevel | MeanLevel, look: RegisteredLook, policy: Policy) -> str:
    noise = _noise(look, policy, policy.seeds.to_pass)
    rule = _PassingOnly(sized)
    try:
        rows = rows_needed(rule, policy.margin, alpha=look.alpha, power=policy.power.power, noise=noise)
    except ValueError:
        return f"more than {MOST_ROWS:,}"
    return f"{rows:,}"


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
    metric = policy.measure
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
