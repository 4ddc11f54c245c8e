"""The need gate: is anything to be trained, or does the base do the work already?"""

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.evidence import DomainDistance
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.rules import ScoredRows, capital, level_rule, plain_rule

BASE_LEVEL = "level of the base"
DOMAIN_DISTANCE = "domain distance"


def decide_need(
    base: ScoredRows,
    *,
    distance: DomainDistance | None,
    policy: Policy,
    run_id: str,
    alpha: float,
    registration: str | None = None,
) -> Decision:
    """Fails when the base, asked as well as the policy says, is shown to be at the target already.

    It passes when the base is short *and* when it is neither: a pilot is cheap, and nothing is spent on a
    wrong answer here that the quality gate would not notice. The base is held to the same threshold as
    everything that is trained.
    """
    level = level_rule(base, policy, alpha)
    suffices = level.verdict is Verdict.PASS
    rule = RuleResult(
        name=BASE_LEVEL,
        observed=level.observed,
        interval=level.interval,
        threshold=f"not shown {level.threshold}",
        verdict=Verdict.FAIL if suffices else Verdict.PASS,
        sentence=level.sentence,
    )
    short = "is demonstrably short" if level.verdict is Verdict.FAIL else "is not shown to suffice"
    return Decision(
        gate=Gate.NEED,
        verdict=rule.verdict,
        rules=(rule, *distance_rules(distance)),
        sentence=(
            f"{capital(base.name)} is at the target: there is nothing to train for."
            if suffices
            else f"{capital(base.name)} {short}: a pilot is worth training."
        ),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(*base.evidence, *((distance.digest(),) if distance else ())),
        look=Split.GATE,
        registration=registration,
    )


def distance_rules(distance: DomainDistance | None) -> tuple[RuleResult, ...]:
    """How far this data lies from what the base knows: cited by later decisions, deciding none."""
    if distance is None:
        return ()
    rule = plain_rule(
        DOMAIN_DISTANCE,
        passed=True,
        observed=distance.summary,
        threshold="none",
        sentence=distance.sentence,
    )
    return (rule.model_copy(update={"decides": False}),)
