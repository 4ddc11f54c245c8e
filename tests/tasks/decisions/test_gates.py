"""Each gate passes, fails and doubts for the reason it names, and only a shown shortfall escalates."""

import itertools

import numpy as np
import pytest

from data_contracts.errors import PairingError, PermitRefusedError
from data_contracts.records.decision import Decision, Gate, Outcome, Verdict
from data_contracts.records.metrics import Task
from data_contracts.records.settings import Policy
from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity
from tasks.decisions.gates import (
    GAIN,
    LEVEL,
    LEVEL_OF_BASELINE,
    UPLIFT,
    ScoredSplit,
    decide_contract,
    decide_escalation,
    decide_justification,
    decide_quality,
    issue_permit,
)
from tasks.decisions.outcomes import conclude

RUN = "run-1"
DIGEST = "sha256:" + "0" * 64
ACCURACY = Policy(metric="accuracy", target=0.9, margin=0.02, minimum_uplift=0.05)
ERROR_RATE = Policy(metric="word_error_rate", target=0.5, margin=0.05, minimum_uplift=0.05)


def right(share: float, rows: int = 1000, *, name: str = "the LoRA pilot") -> ScoredSplit:
    """``rows`` rows of which this share is answered rightly."""
    hits = round(share * rows)
    ids = tuple(f"row-{index}" for index in range(rows))
    return ScoredSplit(name, ids, np.repeat([1.0, 0.0], [hits, rows - hits]), DIGEST)


def errors(mean: float, rows: int = 400) -> ScoredSplit:
    noise = np.random.default_rng(0).normal(0, 0.2, size=rows)
    ids = tuple(f"row-{index}" for index in range(rows))
    return ScoredSplit("the LoRA pilot", ids, mean + noise - noise.mean(), DIGEST)


def verdicts(decision: Decision) -> dict[str, Verdict]:
    return {rule.name: rule.verdict for rule in decision.rules}


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.95, Verdict.PASS), (0.88, Verdict.INCONCLUSIVE), (0.80, Verdict.FAIL)]
)
def test_quality_of_a_metric_that_should_be_high(share: float, verdict: Verdict) -> None:
    decision = decide_quality(right(share), right(0.5), policy=ACCURACY, run_id=RUN)
    assert (decision.verdict, verdicts(decision)[LEVEL]) == (verdict, verdict)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.4, Verdict.PASS), (0.55, Verdict.INCONCLUSIVE), (0.7, Verdict.FAIL)]
)
def test_quality_of_a_metric_that_should_be_low(mean: float, verdict: Verdict) -> None:
    decision = decide_quality(errors(mean), errors(1.2), policy=ERROR_RATE, run_id=RUN)
    assert (decision.verdict, verdicts(decision)[LEVEL]) == (verdict, verdict)
    assert verdicts(decision)[UPLIFT] is Verdict.PASS


def test_quality_also_asks_for_uplift_over_the_baseline() -> None:
    decision = decide_quality(right(0.95), right(0.95), policy=ACCURACY, run_id=RUN)
    assert verdicts(decision) == {
        LEVEL: Verdict.PASS,
        UPLIFT: Verdict.FAIL,
        LEVEL_OF_BASELINE: Verdict.PASS,
    }
    assert decision.verdict is Verdict.FAIL


def test_the_baselines_level_is_reported_and_decides_nothing() -> None:
    decision = decide_quality(right(0.95), right(0.5), policy=ACCURACY, run_id=RUN)
    assert verdicts(decision)[LEVEL_OF_BASELINE] is Verdict.FAIL
    assert decision.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("baseline", "outcome"), [(0.95, Outcome.BASE_SUFFICES), (0.86, Outcome.INCONCLUSIVE)]
)
def test_the_baseline_suffices_only_where_it_is_at_the_target(baseline: float, outcome: Outcome) -> None:
    policy = ACCURACY.model_copy(update={"minimum_uplift": 0.2})
    quality = decide_quality(right(0.95), right(baseline), policy=policy, run_id=RUN)
    escalation = decide_escalation(quality, policy=policy, run_id=RUN)
    contract = _decision(Gate.CONTRACT, Verdict.PASS, Verdict.PASS, Verdict.PASS)
    assert conclude([contract, quality, escalation]).outcome is outcome


def test_quality_never_pairs_different_rows() -> None:
    with pytest.raises(PairingError):
        decide_quality(right(0.9, 100), right(0.9, 101), policy=ACCURACY, run_id=RUN)


def test_a_decision_names_its_policy_evidence_and_a_reason_for_every_rule() -> None:
    decision = decide_quality(right(0.95), right(0.5), policy=ACCURACY, run_id=RUN)
    assert decision.policy == ACCURACY.digest()
    assert decision.evidence == (DIGEST, DIGEST)
    for rule in decision.rules:
        assert rule.interval is not None
        assert rule.sentence.endswith(".")
    assert "0.95" in decision.rules[0].sentence


@pytest.mark.parametrize("pilot", [right(0.95), right(0.88), right(0.90, 30)])
def test_a_pilot_not_shown_short_never_escalates(pilot: ScoredSplit) -> None:
    baseline = right(0.95, len(pilot.row_ids))
    quality = decide_quality(pilot, baseline, policy=ACCURACY, run_id=RUN)
    assert quality.verdict is not Verdict.PASS
    escalation = decide_escalation(quality, policy=ACCURACY, run_id=RUN)
    assert escalation.verdict is Verdict.FAIL
    with pytest.raises(PermitRefusedError, match="escalation gate says fail"):
        issue_permit(escalation, snapshot=DIGEST, base_model=DIGEST)


def test_a_pilot_shown_short_gets_a_permit_for_this_run_and_policy() -> None:
    quality = decide_quality(right(0.8), right(0.5), policy=ACCURACY, run_id=RUN)
    escalation = decide_escalation(quality, policy=ACCURACY, run_id=RUN)
    assert escalation.evidence == (quality.digest(),)
    permit = issue_permit(escalation, snapshot=DIGEST, base_model=DIGEST)
    permit.require(run_id=RUN, snapshot=DIGEST, base_model=DIGEST, policy=ACCURACY.digest())


def test_no_other_gate_issues_permits() -> None:
    quality = decide_quality(right(0.95), right(0.5), policy=ACCURACY, run_id=RUN)
    assert quality.verdict is Verdict.PASS
    with pytest.raises(PermitRefusedError):
        issue_permit(quality, snapshot=DIGEST, base_model=DIGEST)


@pytest.mark.parametrize(
    "change", [{"run_id": "run-0"}, {"policy": "sha256:" + "1" * 64}, {"gate": Gate.CONTRACT}]
)
def test_escalation_is_decided_on_this_runs_quality_only(change: dict[str, object]) -> None:
    quality = decide_quality(right(0.8), right(0.5), policy=ACCURACY, run_id=RUN)
    with pytest.raises(ValueError, match="escalation is decided on"):
        decide_escalation(quality.model_copy(update=change), policy=ACCURACY, run_id=RUN)


def test_full_must_beat_the_pilot_by_the_registered_gain() -> None:
    policy = ACCURACY.model_copy(update={"minimum_gain_of_full": 0.05})
    kept = decide_justification(right(0.97), right(0.8), right(0.5), policy=policy, run_id=RUN)
    assert kept.verdict is Verdict.PASS
    wasted = decide_justification(right(0.97), right(0.95), right(0.5), policy=policy, run_id=RUN)
    assert verdicts(wasted)[GAIN] is Verdict.FAIL
    assert wasted.verdict is Verdict.FAIL


def test_the_contract_gate_fails_on_blocking_rules_only() -> None:
    def evidence(severity: RuleSeverity) -> ContractEvidence:
        rule = ContractRule(
            name="text.minLength",
            severity=severity,
            passed=False,
            observed="1 of 9 rows break it",
            expected="text",
            broken_rows=1,
            examples=("a.jsonl, row 3",),
            remedy="fill it in",
            sentence="Every row has a text.",
        )
        return ContractEvidence(
            task=Task.CLASSIFICATION,
            contract=DIGEST,
            contract_name="questions",
            sources=(),
            rows_read=9,
            rows_accepted=8,
            rows_quarantined=1,
            rules=(rule,),
            labels=("a", "b"),
        )

    blocked = decide_contract(evidence(RuleSeverity.BLOCKING), policy=ACCURACY, run_id=RUN)
    assert blocked.verdict is Verdict.FAIL
    assert "text.minLength" in blocked.sentence
    for severity in (RuleSeverity.QUARANTINE, RuleSeverity.WARNING):
        assert decide_contract(evidence(severity), policy=ACCURACY, run_id=RUN).verdict is Verdict.PASS


def _decision(gate: Gate, verdict: Verdict, level: Verdict, uplift: Verdict) -> Decision:
    template = decide_quality(right(0.95), right(0.5), policy=ACCURACY, run_id=RUN)
    rules = tuple(
        rule.model_copy(update={"verdict": level if LEVEL in rule.name else uplift})
        for rule in template.rules
    )
    return template.model_copy(update={"gate": gate, "verdict": verdict, "rules": rules})


def _verdict(*rules: Verdict) -> Verdict:
    if Verdict.FAIL in rules:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in rules else Verdict.PASS


def test_every_sequence_of_verdicts_ends_in_one_outcome_and_full_only_after_a_shortfall() -> None:
    """Walks the flow's branches for every combination of rule verdicts it can meet."""
    reached: set[Outcome] = set()
    for contract, level, uplift, justification in itertools.product(Verdict, repeat=4):
        decisions = [_decision(Gate.CONTRACT, contract, contract, contract)]
        trained_full = False
        if contract is Verdict.PASS:
            quality = _decision(Gate.QUALITY, _verdict(level, uplift), level, uplift)
            decisions.append(quality)
            if quality.verdict is not Verdict.PASS:
                escalation = decide_escalation(quality, policy=ACCURACY, run_id=RUN)
                decisions.append(escalation)
                if escalation.verdict is Verdict.PASS:
                    issue_permit(escalation, snapshot=DIGEST, base_model=DIGEST)
                    trained_full = True
                    decisions.append(_decision(Gate.JUSTIFICATION, justification, level, uplift))
        outcome = conclude(decisions).outcome
        reached.add(outcome)
        assert trained_full == (contract is Verdict.PASS and level is Verdict.FAIL)
        assert (outcome in {Outcome.FULL_ACCEPTED, Outcome.FULL_UNJUSTIFIED}) == trained_full
    assert reached == set(Outcome)


def test_an_unfinished_run_has_no_outcome() -> None:
    quality = decide_quality(right(0.8), right(0.5), policy=ACCURACY, run_id=RUN)
    escalation = decide_escalation(quality, policy=ACCURACY, run_id=RUN)
    contract = _decision(Gate.CONTRACT, Verdict.PASS, Verdict.PASS, Verdict.PASS)
    for decisions in ([], [contract], [contract, quality], [contract, quality, escalation]):
        with pytest.raises(ValueError, match=r"decision|judged"):
            conclude(decisions)
