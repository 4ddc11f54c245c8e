"""The quality gate: is the pilot good enough, better than what was there before, and harmless?"""

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.guardrails import NO_GUARDRAILS, GuardrailEvidence, guardrail_rules
from tasks.decisions.gates.rules import (
    UPLIFT,
    ScoredRows,
    all_of,
    capital,
    gain_rule,
    level_rule,
    seeds_note,
)

_WORDS = {
    Verdict.PASS: "is good enough",
    Verdict.FAIL: "is not good enough",
    Verdict.INCONCLUSIVE: "is neither shown good enough nor shown short",
}


def decide_quality(
    pilot: ScoredRows,
    baseline: ScoredRows,
    *,
    policy: Policy,
    run_id: str,
    alpha: float,
    look: Split,
    guardrails: GuardrailEvidence = NO_GUARDRAILS,
    registration: str | None = None,
) -> Decision:
    """Passes when the level, the uplift over the baseline and every blocking guardrail are shown.

    Raises:
        PairingError: pilot and baseline were scored on different rows.
    """
    rules = quality_rules(pilot, baseline, policy=policy, alpha=alpha, guardrails=guardrails)
    verdict = all_of(rules)
    return Decision(
        gate=Gate.QUALITY,
        verdict=verdict,
        rules=rules,
        sentence=f"{capital(pilot.name)} {_WORDS[verdict]}, by {policy.metric}. {seeds_note(pilot.seeds)}",
        run_id=run_id,
        policy=policy.digest(),
        evidence=(*pilot.evidence, *baseline.evidence),
        look=look,
        registration=registration,
    )


def quality_rules(
    trained: ScoredRows,
    baseline: ScoredRows,
    *,
    policy: Policy,
    alpha: float,
    guardrails: GuardrailEvidence,
) -> tuple[RuleResult, ...]:
    """What pilot and full are held to alike."""
    return (
        level_rule(trained, policy, alpha),
        gain_rule(UPLIFT, trained, baseline, policy.minimum_uplift, policy, alpha),
        *guardrail_rules(trained, baseline, guardrails, policy, alpha),
    )
