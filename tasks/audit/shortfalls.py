"""By how much a rule was missed: its interval against the number that the policy holds it to."""

from dataclasses import dataclass

from data_contracts.records.decision import RuleResult, Verdict
from data_contracts.records.policy import Policy
from tasks.decisions.gates.escalation import SHORTFALL
from tasks.decisions.gates.guardrails import GUARDRAIL
from tasks.decisions.gates.need import BASE_LEVEL
from tasks.decisions.gates.rules import GAIN, LEVEL, UPLIFT


@dataclass(frozen=True)
class Limit:
    """What an interval is held against, in the rule's own unit."""

    value: float
    higher_is_better: bool


def limit_of(rule: RuleResult, policy: Policy) -> Limit | None:
    """``None`` for a rule without an interval, or one that the policy names no number for."""
    if rule.interval is None:
        return None
    if rule.name in {LEVEL, SHORTFALL, BASE_LEVEL}:
        return Limit(policy.lenient_target, policy.measure.higher_is_better)
    value = {UPLIFT: policy.minimum_uplift, GAIN: policy.minimum_gain_of_full, **_floors(policy)}.get(
        rule.name
    )
    return None if value is None else Limit(value, higher_is_better=True)


def told_miss(rule: RuleResult, limit: Limit | None) -> str:
    """By how much a rule was missed, in words; empty for one that passed or is about a fact."""
    interval = rule.interval
    if rule.verdict is Verdict.PASS or interval is None or limit is None:
        return ""
    sign = 1.0 if limit.higher_is_better else -1.0
    mean = sign * (limit.value - interval.mean)
    pessimistic, optimistic = (
        sign * (limit.value - bound)
        for bound in (
            (interval.lower, interval.upper) if limit.higher_is_better else (interval.upper, interval.lower)
        )
    )
    if rule.name == BASE_LEVEL:
        return f"the base reaches it with {-pessimistic:.4g} to spare even at its pessimistic bound"
    told = f"the mean misses it by {mean:.4g}" if mean > 0 else f"the mean is beyond it by {-mean:.4g}"
    if optimistic > 0:
        return f"{told}, and even the optimistic bound by {optimistic:.4g}"
    if pessimistic > 0:
        return f"{told}, the pessimistic bound misses it by {pessimistic:.4g}, the optimistic one does not"
    return told


def _floors(policy: Policy) -> dict[str, float]:
    rails = policy.guardrails
    floors = {rule.name: -rule.margin for rule in rails.slices}
    floors |= {rule.name: -rule.margin for rule in rails.lm_eval}
    if rails.forgetting is not None:
        floors["forgetting"] = -rails.forgetting.margin
    if rails.answer_format is not None:
        floors["answer format"] = rails.answer_format.minimum_share
    return {f"{GUARDRAIL}{name}": floor for name, floor in floors.items()}
