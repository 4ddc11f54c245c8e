"""The justification gate: did full fine-tuning earn its place?"""

from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.guardrails import NO_GUARDRAILS, GuardrailEvidence
from tasks.decisions.gates.quality import quality_rules
from tasks.decisions.gates.rules import GAIN, ScoredRows, all_of, gain_rule, seeds_note


def decide_justification(
    full: ScoredRows,
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
    """Full must pass quality and guardrails itself, and beat the best pilot by the registered margin.

    What its training cost no longer counts: it is paid for.

    Raises:
        PairingError: the three were not scored on the same rows.
    """
    rules = (
        *quality_rules(full, baseline, policy=policy, alpha=alpha, guardrails=guardrails),
        gain_rule(GAIN, full, pilot, policy.minimum_gain_of_full, policy, alpha),
    )
    verdict = all_of(rules)
    kept = (
        "Full fine-tuning reaches what the pilot missed, and is kept."
        if verdict is Verdict.PASS
        else "Full fine-tuning did not earn its place."
    )
    return Decision(
        gate=Gate.JUSTIFICATION,
        verdict=verdict,
        rules=rules,
        sentence=f"{kept} {seeds_note(full.seeds)}",
        run_id=run_id,
        policy=policy.digest(),
        evidence=(*full.evidence, *pilot.evidence, *baseline.evidence),
        look=look,
        registration=registration,
    )
