"""The escalation gate: may full fine-tuning be spent? The only gate that issues a permit."""

from data_contracts.errors import PermitRefusedError
from data_contracts.records.base import UtcTime, digest_json
from data_contracts.records.bases import EscalationFacts
from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.evidence import DomainDistance
from data_contracts.records.permit import Permit, PermitIssuer
from data_contracts.records.pilots import Approval
from data_contracts.records.policy import ApprovalRule, Policy
from data_contracts.records.rungs import Rung
from tasks.decisions.gates.fairness import made_fair, passed_by_clearing
from tasks.decisions.gates.need import distance_rules
from tasks.decisions.gates.rules import LEVEL, all_of, plain_rule

SHORTFALL = "demonstrated shortfall"
FAIR = "a fair pilot, remedies spent"
APPROVAL = "approval"


def decide_escalation(
    quality: Decision,
    fairness: Decision,
    facts: EscalationFacts,
    *,
    distance: DomainDistance | None = None,
    policy: Policy,
    run_id: str,
) -> Decision:
    """Passes only on a demonstrated shortfall of a fair pilot, with enough data, budget and approval.

    Inconclusive means that nothing but a person's answer is missing.

    Args:
        distance: of the data from what the base knows: shown to whoever decides, deciding nothing itself.

    Raises:
        ValueError: the decisions are not the quality and fairness gates' of this run under this policy.
    """
    _require_decisions(quality, fairness, policy, run_id)
    facts_rules = (
        _shortfall_rule(quality, policy),
        _fair_rule(fairness),
        _data_rule(facts, policy),
        _budget_rule(facts, policy),
        _memory_rule(facts),
    )
    rules = (
        *facts_rules,
        _approval_rule(facts, quality, policy),
        *distance_rules(distance),
    )
    # A person is asked only about what everything else allows.
    verdict = Verdict.FAIL if all_of(facts_rules) is not Verdict.PASS else all_of(rules)
    return Decision(
        gate=Gate.ESCALATION,
        verdict=verdict,
        rules=rules,
        sentence=_SENTENCES[verdict],
        run_id=run_id,
        policy=policy.digest(),
        evidence=(quality.digest(), fairness.digest()),
    )


_SENTENCES = {
    Verdict.PASS: "Full fine-tuning is allowed once, on this data and this base model.",
    Verdict.FAIL: "Full fine-tuning is not allowed.",
    Verdict.INCONCLUSIVE: "Full fine-tuning is justified by the evidence and waits for a person's approval.",
}


def subject_of(quality: Decision) -> str:
    """Digest of what a person is asked to answer for: the same evidence under the same policy is the same
    question, in whichever run it comes up."""
    return digest_json(
        {
            "policy": quality.policy,
            "evidence": list(quality.evidence),
            "rules": [rule.json_value() for rule in quality.rules],
        }
    )


def issue_permit(
    escalation: Decision,
    *,
    snapshot: str,
    base_model: str,
    rung: Rung,
    seeds: tuple[int, ...],
    price_processor_hours: float,
    issued_at: UtcTime,
    expires_at: UtcTime,
) -> Permit:
    """The permit that a passed escalation gate gives, bound to its run, its policy and the method ``rung``.

    Args:
        price_processor_hours: the forecast that the gate was told, of all ``seeds``.

    Raises:
        PermitRefusedError: the decision is of another gate, or did not pass.
    """
    if escalation.gate is not Gate.ESCALATION or escalation.verdict is not Verdict.PASS:
        raise PermitRefusedError(
            f"No permit: the {escalation.gate.value} gate says {escalation.verdict.value}; "
            "only a passed escalation gate allows full fine-tuning."
        )
    return Permit(
        issuer=PermitIssuer.ESCALATION_GATE,
        run_id=escalation.run_id,
        snapshot=snapshot,
        base_model=base_model,
        policy=escalation.policy,
        rung=rung,
        seeds=seeds,
        price_processor_hours=price_processor_hours,
        issued_at=issued_at,
        expires_at=expires_at,
        decision=escalation,
    )


def _require_decisions(quality: Decision, fairness: Decision, policy: Policy, run_id: str) -> None:
    faults = [
        text
        for decision, gate in ((quality, Gate.QUALITY), (fairness, Gate.FAIRNESS))
        for text, wrong in (
            (f"gate {decision.gate.value}", decision.gate is not gate),
            (f"run {decision.run_id}", decision.run_id != run_id),
            (f"policy {decision.policy}", decision.policy != policy.digest()),
        )
        if wrong
    ]
    if faults:
        raise ValueError(
            f"escalation is decided on this run's quality and fairness decisions, not on {', '.join(faults)}"
        )


def _shortfall_rule(quality: Decision, policy: Policy) -> RuleResult:
    level = next(rule for rule in quality.rules if rule.name == LEVEL)
    assert level.interval is not None
    needed = policy.seeds.to_escalate
    enough = level.interval.seeds >= needed
    short = level.verdict is Verdict.FAIL
    sentence = "The pilot is not shown to fall short; full fine-tuning is not spent on a doubt."
    if short:
        sentence = "The pilot falls short even by its optimistic bound."
        if level.interval.seeds == 1:
            sentence += " One seed: its spread is unmeasured."
        if not enough:
            sentence = f"Shown over {level.interval.seeds} seeds; {needed} are needed to escalate."
    return RuleResult(
        name=SHORTFALL,
        observed=f"{level.observed}, seeds: {level.interval.seeds}",
        interval=level.interval,
        threshold=f"the optimistic bound misses {level.threshold}; seeds: {needed}",
        verdict=Verdict.PASS if short and enough else Verdict.FAIL,
        sentence=sentence,
    )


def _fair_rule(fairness: Decision) -> RuleResult:
    passed = made_fair(fairness)
    return plain_rule(
        FAIR,
        passed=passed,
        observed="judged by its score on tune alone" if passed_by_clearing(fairness) else fairness.sentence,
        threshold="every rule of the fairness gate holds, and no remedy is left",
        sentence=(
            fairness.sentence if passed else "The pilot was not a fair test, so it proves nothing about LoRA."
        ),
    )


def _data_rule(facts: EscalationFacts, policy: Policy) -> RuleResult:
    needed = policy.escalation.minimum_train_rows
    return plain_rule(
        "data enough for full",
        passed=facts.train_rows >= needed,
        observed=f"{facts.train_rows:,} training rows",
        threshold=f"at least {needed:,}",
        sentence=f"There are {facts.train_rows:,} rows to train on; full fine-tuning asks for {needed:,}.",
    )


def _budget_rule(facts: EscalationFacts, policy: Policy) -> RuleResult:
    limit = policy.escalation.maximum_processor_hours
    total = facts.processor_hours_spent + facts.processor_hours_of_full
    return plain_rule(
        "forecast within the budget",
        passed=limit is None or total <= limit,
        observed=(
            f"{facts.processor_hours_spent:.3g} processor hours spent, "
            f"{facts.processor_hours_of_full:.3g} forecast for full"
        ),
        threshold="no limit" if limit is None else f"at most {limit:g} in all",
        sentence=f"With full fine-tuning the run is expected to take {total:.3g} processor hours.",
    )


def _memory_rule(facts: EscalationFacts) -> RuleResult:
    needed, there = (
        f"{count / 2**30:.1f} GiB"
        for count in (facts.peak_memory_bytes_of_full, facts.available_memory_bytes)
    )
    return plain_rule(
        "full fits the memory",
        passed=facts.peak_memory_bytes_of_full <= facts.available_memory_bytes,
        observed=f"{needed} forecast",
        threshold=f"at most {there}",
        sentence=f"Full fine-tuning needs about {needed}; this machine has {there}.",
    )


def _approval_rule(facts: EscalationFacts, quality: Decision, policy: Policy) -> RuleResult:
    rule = policy.escalation.approval
    if rule is ApprovalRule.NONE:
        return plain_rule(
            APPROVAL,
            passed=True,
            observed="not asked for",
            threshold="none",
            sentence="The policy asks for nobody's approval.",
        )
    answer, why = facts.approval, _why_it_does_not_count(facts, quality, policy)
    verdict = Verdict.INCONCLUSIVE
    sentence = f"A person has to allow full fine-tuning; {why}."
    if answer is not None and why is None:
        verdict = Verdict.PASS if answer.approved else Verdict.FAIL
        word = "allowed" if answer.approved else "denied"
        sentence = f"{answer.name} {word} it ({_how_given(facts, answer)}): {answer.reason}"
    limit = policy.escalation.approval_expires_days
    if verdict is not Verdict.FAIL and facts.waited_days > limit:
        late = f"came after {facts.waited_days:.1f} days" if verdict is Verdict.PASS else f"is none, as {why}"
        verdict = Verdict.FAIL
        sentence = f"The answer {late}, and after {limit:g} days there is none but a denial."
    return RuleResult(
        name=APPROVAL,
        observed="no answer" if answer is None or why is not None else f"{answer.name}: {answer.reason}",
        interval=None,
        threshold=f"a person's {rule.value} approval of this very decision within {limit:g} days",
        verdict=verdict,
        sentence=sentence,
    )


def _why_it_does_not_count(facts: EscalationFacts, quality: Decision, policy: Policy) -> str | None:
    """What is missing for an answer that counts; ``None`` where nothing is."""
    answer = facts.approval
    if answer is None and facts.unusable is not None:
        return f"the answer that was given does not count: {facts.unusable}"
    # An answer to another question is none.
    if answer is None or answer.subject != subject_of(quality):
        return "nobody has answered yet"
    asked = {name.strip().casefold() for name in (facts.requested_by, answer.requested_by)}
    given = {name.strip().casefold() for name in (answer.name, facts.signed_by or answer.name)}
    if asked & given:
        return f"the answer of {answer.name} does not count: who asked for the run cannot answer for it"
    if policy.escalation.approval is ApprovalRule.SIGNED and facts.signed_by is None:
        return f"the answer of {answer.name} does not count: no key of the keyring verifies it"
    return None


def _how_given(facts: EscalationFacts, answer: Approval) -> str:
    if facts.signed_by is not None:
        return f"signed by {facts.signed_by}"
    return "recorded, not signed" if answer.key is None else "recorded; its signature was not verified"
