"""Each gate passes, fails and doubts for the reason it names, and only a shown shortfall escalates."""

from typing import Any

import numpy as np
import pytest

from data_contracts.errors import PairingError, PermitRefusedError
from data_contracts.records.bases import EscalationFacts
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.metrics import Metric, Task
from data_contracts.records.permit import Permit, PermitIssuer
from data_contracts.records.policy import Policy, PromotionTerms
from data_contracts.records.rungs import Rung
from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity, Split
from tasks.decisions.gates import (
    GuardrailEvidence,
    ScoredRows,
    ServingFacts,
    TaskScores,
    decide_contract,
    decide_escalation,
    decide_fairness,
    decide_justification,
    decide_need,
    decide_promotion,
    decide_quality,
    issue_permit,
)
from tasks.decisions.gates.escalation import APPROVAL, FAIR, SHORTFALL, subject_of
from tasks.decisions.gates.promotion import PERMITTED, UNSEEN, strictest
from tasks.decisions.gates.rules import GAIN, LEVEL, UPLIFT, alpha_of_look
from tests.tasks.decisions.conftest import (
    ACCURACY,
    BRACKETED,
    DIGEST,
    ENOUGH,
    ERROR_RATE,
    ISSUED,
    RUN,
    answer,
    errors,
    points,
    right,
    trial,
)


def verdicts(decision: Decision) -> dict[str, Verdict]:
    return {rule.name: rule.verdict for rule in decision.rules}


def quality_of(pilot: ScoredRows, base: ScoredRows, policy: Policy = ACCURACY, **options: Any) -> Decision:
    options = {"alpha": 0.05, "look": Split.GATE, **options}
    return decide_quality(pilot, base, policy=policy, run_id=RUN, **options)


def fairness_of(policy: Policy = ACCURACY, **changes: Any) -> Decision:
    trials = [trial(), trial(2, remedy="double_rank", settings={"rank": 32})]
    options: dict[str, Any] = {"unquantised_fits": True, "must_be_fair": False, **changes}
    return decide_fairness(trials, points(**BRACKETED), policy=policy, run_id=RUN, **options)


def escalation_of(quality: Decision, facts: EscalationFacts = ENOUGH, policy: Policy = ACCURACY) -> Decision:
    return decide_escalation(quality, fairness_of(policy), facts, policy=policy, run_id=RUN)


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.95, Verdict.PASS), (0.88, Verdict.INCONCLUSIVE), (0.80, Verdict.FAIL)]
)
def test_quality_of_a_metric_that_should_be_high(share: float, verdict: Verdict) -> None:
    decision = quality_of(right(share), right(0.5))
    assert (decision.verdict, verdicts(decision)[LEVEL]) == (verdict, verdict)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.4, Verdict.PASS), (0.55, Verdict.INCONCLUSIVE), (0.7, Verdict.FAIL)]
)
def test_quality_of_a_metric_that_should_be_low(mean: float, verdict: Verdict) -> None:
    decision = quality_of(errors(mean), errors(1.2), ERROR_RATE)
    assert (decision.verdict, verdicts(decision)[LEVEL]) == (verdict, verdict)
    assert verdicts(decision)[UPLIFT] is Verdict.PASS


def test_quality_also_asks_for_uplift_over_the_baseline() -> None:
    decision = quality_of(right(0.95), right(0.95))
    assert verdicts(decision) == {LEVEL: Verdict.PASS, UPLIFT: Verdict.FAIL}
    assert decision.verdict is Verdict.FAIL


def test_seeds_that_spread_make_a_verdict_harder() -> None:
    steady = quality_of(right(0.93, seeds=5), right(0.5))
    lines = np.stack([right(share).scores[0] for share in (0.90, 0.93, 0.96)])
    spread = quality_of(ScoredRows("the pilot", right(0.9).row_ids, lines, (DIGEST,) * 3), right(0.5))
    assert verdicts(steady)[LEVEL] is Verdict.PASS
    assert verdicts(spread)[LEVEL] is Verdict.INCONCLUSIVE
    assert spread.rules[0].interval is not None and spread.rules[0].interval.seeds == 3


def test_one_seed_says_that_its_spread_is_unmeasured() -> None:
    assert "unmeasured" in quality_of(right(0.95), right(0.5)).sentence
    assert "unmeasured" not in quality_of(right(0.95, seeds=5), right(0.5)).sentence


def test_quality_never_pairs_different_rows() -> None:
    with pytest.raises(PairingError):
        quality_of(right(0.9, 100), right(0.9, 101))
    with pytest.raises(PairingError, match="expected"):
        ScoredRows("too few ids", ("a",), np.ones((1, 2)), (DIGEST,))


def test_a_decision_names_its_policy_evidence_and_a_reason_for_every_rule() -> None:
    decision = quality_of(right(0.95), right(0.5))
    assert decision.policy == ACCURACY.digest()
    assert decision.evidence == (DIGEST, DIGEST)
    for rule in decision.rules:
        assert rule.interval is not None
        assert rule.sentence.endswith(".")
    assert "0.95" in decision.rules[0].sentence


def test_alpha_is_spread_over_the_horizon_and_the_two_looks() -> None:
    first = alpha_of_look(ACCURACY, second=False, reserve=True)
    second = alpha_of_look(ACCURACY, second=True, reserve=True)
    assert (first + second) * ACCURACY.looks.horizon == pytest.approx(ACCURACY.alpha)
    assert alpha_of_look(ACCURACY, second=False, reserve=False) == pytest.approx(0.05 / 20)


@pytest.mark.parametrize(("share", "verdict"), [(0.95, "fail"), (0.88, "pass"), (0.5, "pass")])
def test_need_fails_only_where_the_base_is_shown_to_suffice(share: float, verdict: str) -> None:
    decision = decide_need(
        right(share, name="the base"), distance=None, policy=ACCURACY, run_id=RUN, alpha=0.05
    )
    assert decision.verdict.value == verdict


@pytest.mark.parametrize("pilot", [right(0.95, seeds=5), right(0.88, seeds=5), right(0.90, 30, seeds=5)])
def test_a_pilot_not_shown_short_never_escalates(pilot: ScoredRows) -> None:
    quality = quality_of(pilot, right(0.95, len(pilot.row_ids)))
    assert quality.verdict is not Verdict.PASS
    escalation = escalation_of(quality)
    assert escalation.verdict is Verdict.FAIL
    with pytest.raises(PermitRefusedError, match="escalation gate says fail"):
        issue_permit(escalation, **ISSUED)


def test_a_pilot_shown_short_gets_a_permit_for_this_run_and_policy() -> None:
    quality = quality_of(right(0.8, seeds=5), right(0.5))
    escalation = escalation_of(quality)
    assert escalation.verdict is Verdict.PASS, escalation
    assert escalation.evidence[0] == quality.digest()
    permit = issue_permit(escalation, **ISSUED)
    work = {"run_id": RUN, "snapshot": DIGEST, "base_model": DIGEST, "policy": ACCURACY.digest()}
    permit.require(**work, rung=Rung.FULL, seed=17)
    assert permit.issuer is PermitIssuer.ESCALATION_GATE and permit.decision == escalation
    assert permit.price_processor_hours == 2.0 and permit.seeds == (17,)


def test_two_seeds_do_not_escalate() -> None:
    escalation = escalation_of(quality_of(right(0.8, seeds=2), right(0.5)))
    assert verdicts(escalation)[SHORTFALL] is Verdict.FAIL
    assert "5 are needed" in escalation.rules[0].sentence


def test_an_unfair_pilot_does_not_escalate() -> None:
    short = quality_of(right(0.8, seeds=5), right(0.5))
    unfair = decide_fairness(
        [trial()], [], unquantised_fits=True, must_be_fair=False, policy=ACCURACY, run_id=RUN
    )
    clears = decide_fairness(
        [trial(tune_score=0.95)], [], unquantised_fits=True, must_be_fair=False, policy=ACCURACY, run_id=RUN
    )
    lenient = Policy(
        **{**ACCURACY.model_dump(), "fairness": {"on_breach": "warn"}, "remedies": {"allowed": []}}
    )
    by_leave = decide_fairness(
        [trial()], [], unquantised_fits=True, must_be_fair=False, policy=lenient, run_id=RUN
    )
    assert by_leave.verdict is Verdict.PASS
    by_leave = by_leave.model_copy(update={"policy": ACCURACY.digest()})
    for fairness in (unfair, clears, by_leave):
        decision = decide_escalation(short, fairness, ENOUGH, policy=ACCURACY, run_id=RUN)
        assert verdicts(decision)[FAIR] is Verdict.FAIL
        assert decision.verdict is Verdict.FAIL


def test_too_little_data_or_too_small_a_budget_denies() -> None:
    quality = quality_of(right(0.8, seeds=5), right(0.5))
    assert escalation_of(quality, ENOUGH.model_copy(update={"train_rows": 499})).verdict is Verdict.FAIL
    assert (
        escalation_of(quality, ENOUGH.model_copy(update={"peak_memory_bytes_of_full": 3})).verdict
        is Verdict.FAIL
    )
    tight = Policy(**{**ACCURACY.model_dump(), "escalation": {"maximum_processor_hours": 1.5}})
    quality = quality_of(right(0.8, seeds=5), right(0.5), tight)
    assert escalation_of(quality, ENOUGH, tight).verdict is Verdict.FAIL


def test_a_person_is_asked_where_policy_says_so_and_only_this_very_question_counts() -> None:
    policy = Policy(**{**ACCURACY.model_dump(), "escalation": {"approval": "recorded"}})
    quality = quality_of(right(0.8, seeds=5), right(0.5), policy)

    def decide(approved: bool | None, subject: str) -> Decision:
        given = None if approved is None else answer(approved=approved, subject=subject)
        return escalation_of(quality, ENOUGH.model_copy(update={"approval": given}), policy)

    asked = subject_of(quality)
    assert decide(None, asked).verdict is Verdict.INCONCLUSIVE
    assert decide(True, asked).verdict is Verdict.PASS
    assert decide(False, asked).verdict is Verdict.FAIL
    assert decide(True, DIGEST).verdict is Verdict.INCONCLUSIVE
    assert "Ada" in next(rule.sentence for rule in decide(True, asked).rules if rule.name == APPROVAL)
    # The same evidence is the same question in another run.
    assert subject_of(quality.model_copy(update={"run_id": "run-2"})) == asked


WAITS = {
    "by the requester": ({}, {"name": " Somebody"}, "who asked for the run cannot answer for it"),
    "by the requester of this run": (
        {"requested_by": "ada"},
        {"requested_by": "another"},
        "who asked for the run cannot answer for it",
    ),
    "by the requester of the run that waited": (
        {"requested_by": "another"},
        {"name": "somebody"},
        "who asked for the run cannot answer for it",
    ),
    "by the requester's key": ({"signed_by": "somebody"}, {"key": "somebody"}, "who asked for the run"),
    "that could not be read": ({"unusable": "its payload is no JSON", "approval": None}, {}, "no JSON"),
}


@pytest.mark.parametrize("rule", ["recorded", "signed"])
@pytest.mark.parametrize("name", WAITS)
def test_an_answer_that_does_not_count_is_none_and_says_why(name: str, rule: str) -> None:
    facts, given, why = WAITS[name]
    decision = answered(rule, facts, given)
    told = next(each for each in decision.rules if each.name == APPROVAL)
    assert decision.verdict is told.verdict is Verdict.INCONCLUSIVE
    assert "does not count" in told.sentence and why in told.sentence and told.observed == "no answer"


def answered(rule: str, facts: dict[str, Any], given: dict[str, Any]) -> Decision:
    policy = Policy(**{**ACCURACY.model_dump(), "escalation": {"approval": rule}})
    quality = quality_of(right(0.8, seeds=5), right(0.5), policy)
    approval = answer(subject=subject_of(quality), **given)
    return escalation_of(quality, ENOUGH.model_copy(update={"approval": approval, **facts}), policy)


@pytest.mark.parametrize(
    ("rule", "facts", "given", "verdict", "how"),
    [
        ("recorded", {}, {}, Verdict.PASS, "(recorded, not signed)"),
        ("recorded", {}, {"key": "ada"}, Verdict.PASS, "(recorded; its signature was not verified)"),
        ("recorded", {"signed_by": "ada"}, {"key": "ada"}, Verdict.PASS, "(signed by ada)"),
        ("signed", {"signed_by": "ada"}, {"key": "ada"}, Verdict.PASS, "(signed by ada)"),
        (
            "signed",
            {"signed_by": "ada"},
            {"key": "ada", "approved": False},
            Verdict.FAIL,
            "denied it (signed",
        ),
        ("signed", {}, {"key": "ada"}, Verdict.INCONCLUSIVE, "no key of the keyring verifies it"),
        ("signed", {}, {}, Verdict.INCONCLUSIVE, "no key of the keyring verifies it"),
        ("signed", {}, {"approved": False}, Verdict.INCONCLUSIVE, "no key of the keyring verifies it"),
    ],
)
def test_how_an_answer_was_given_is_said_and_held_to_the_policy(
    rule: str, facts: dict[str, Any], given: dict[str, Any], verdict: Verdict, how: str
) -> None:
    decision = answered(rule, facts, given)
    assert decision.verdict is verdict
    assert how in next(each.sentence for each in decision.rules if each.name == APPROVAL)


@pytest.mark.parametrize(
    ("given", "days", "verdict", "told"),
    [
        ({}, 13.9, Verdict.PASS, "allowed it"),
        ({}, 14.1, Verdict.FAIL, "came after 14.1 days, and after 14 days there is none but a denial"),
        ({"approved": False}, 14.1, Verdict.FAIL, "denied it"),
        (None, 13.9, Verdict.INCONCLUSIVE, "nobody has answered yet"),
        (None, 14.1, Verdict.FAIL, "is none, as nobody has answered yet, and after 14 days"),
        ({"name": "somebody"}, 14.1, Verdict.FAIL, "is none, as the answer of somebody does not count"),
    ],
)
def test_a_late_answer_is_a_denial_and_so_is_none(
    given: dict[str, Any] | None, days: float, verdict: Verdict, told: str
) -> None:
    facts: dict[str, Any] = {"waited_days": days, "asked_at": "2026-11-25T08:00:00.000000Z"}
    if given is None:
        facts["approval"] = None
    decision = answered("recorded", facts, given or {})
    assert decision.verdict is verdict
    assert told in next(each.sentence for each in decision.rules if each.name == APPROVAL)


def test_nobody_is_asked_about_what_is_not_allowed_anyway() -> None:
    policy = Policy(**{**ACCURACY.model_dump(), "escalation": {"approval": "recorded"}})
    quality = quality_of(right(0.88, seeds=5), right(0.5), policy)
    assert escalation_of(quality, ENOUGH, policy).verdict is Verdict.FAIL


def test_no_other_gate_issues_permits() -> None:
    quality = quality_of(right(0.95), right(0.5))
    assert quality.verdict is Verdict.PASS
    with pytest.raises(PermitRefusedError):
        issue_permit(quality, **ISSUED)


@pytest.mark.parametrize(
    "change", [{"run_id": "run-0"}, {"policy": "sha256:" + "1" * 64}, {"gate": Gate.CONTRACT}]
)
def test_escalation_is_decided_on_this_runs_decisions_only(change: dict[str, object]) -> None:
    quality, fairness = quality_of(right(0.8, seeds=5), right(0.5)), fairness_of()
    for pair in (
        (quality.model_copy(update=change), fairness),
        (quality, fairness.model_copy(update=change)),
    ):
        with pytest.raises(ValueError, match="escalation is decided on"):
            decide_escalation(*pair, ENOUGH, policy=ACCURACY, run_id=RUN)


def test_full_must_beat_the_pilot_by_the_registered_gain() -> None:
    policy = ACCURACY.model_copy(update={"minimum_gain_of_full": 0.05})

    def justify(pilot: float) -> Decision:
        return decide_justification(
            right(0.97),
            right(pilot, seeds=5),
            right(0.5),
            policy=policy,
            run_id=RUN,
            alpha=0.05,
            look=Split.GATE,
        )

    assert justify(0.8).verdict is Verdict.PASS
    assert verdicts(justify(0.95))[GAIN] is Verdict.FAIL
    assert justify(0.95).verdict is Verdict.FAIL


def guarded(**rails: Any) -> Policy:
    return Policy(**{**ACCURACY.model_dump(), "guardrails": rails})


def test_a_slice_is_passed_harmed_or_too_small() -> None:
    policy = guarded(slices=[{"name": "phone", "equals": "phone", "margin": 0.05, "minimum_rows": 50}])
    pilot, base = right(0.95), right(0.5)
    hit = frozenset(pilot.row_ids[:200])  # both right
    missed = frozenset(pilot.row_ids[400:500])  # both right up to 500

    def decide(rows: frozenset[str], better: ScoredRows = pilot, worse: ScoredRows = base) -> Decision:
        return quality_of(better, worse, policy, guardrails=GuardrailEvidence(slices={"phone": rows}))

    name = "guardrail: phone"
    assert verdicts(decide(hit))[name] is Verdict.PASS
    assert verdicts(decide(missed, base, pilot))[name] is Verdict.PASS
    harmed = decide(frozenset(pilot.row_ids[500:900]), base, pilot)
    assert verdicts(harmed)[name] is Verdict.FAIL and harmed.verdict is Verdict.FAIL
    small = decide(frozenset(pilot.row_ids[:49]))
    assert verdicts(small)[name] is Verdict.INCONCLUSIVE and small.verdict is Verdict.INCONCLUSIVE


def test_a_warning_guardrail_decides_nothing() -> None:
    policy = guarded(serving={"maximum_latency_ratio": 1.1, "maximum_artifact_bytes": 10})
    evidence = GuardrailEvidence(serving=ServingFacts(latency_ratio=2.0, artifact_bytes=11))
    decision = quality_of(right(0.95), right(0.5), policy, guardrails=evidence)
    assert decision.verdict is Verdict.PASS
    assert verdicts(decision)["guardrail: latency"] is Verdict.FAIL
    assert verdicts(decision)["guardrail: artifact size"] is Verdict.FAIL


@pytest.mark.parametrize(("rise", "verdict"), [(0.0, "pass"), (0.25, "inconclusive"), (0.6, "fail")])
def test_forgetting_is_judged_on_the_loss_of_a_general_text(rise: float, verdict: str) -> None:
    policy = guarded(forgetting={"margin": 0.25})
    evidence = GuardrailEvidence(base_losses=errors(3.0), trained_losses=errors(3.0 + rise, seeds=5))
    decision = quality_of(right(0.95, seeds=5), right(0.5), policy, guardrails=evidence)
    assert verdicts(decision)["guardrail: forgetting"].value == verdict


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "pass"), (0.95, "inconclusive"), (0.8, "fail")])
def test_answers_must_have_the_form_asked_for(share: float, verdict: str) -> None:
    policy = guarded(answer_format={"pattern": "[A-Z]+", "minimum_share": 0.95})
    evidence = GuardrailEvidence(well_formed=right(share))
    decision = quality_of(right(0.95), right(0.5), policy, guardrails=evidence)
    assert verdicts(decision)["guardrail: answer format"].value == verdict


@pytest.mark.parametrize(
    ("trained", "verdict"), [(0.80, "pass"), (0.772, "inconclusive"), (0.70, "fail"), (0.9, "pass")]
)
def test_a_task_of_lm_eval_is_held_against_the_base(trained: float, verdict: str) -> None:
    policy = guarded(lm_eval=[{"task": "tasks/arc.yaml", "margin": 0.03}])
    found = TaskScores(base=right(0.8), trained=right(trained, seeds=3), higher_is_better=True)
    evidence = GuardrailEvidence(tasks={"lm-eval arc acc": found})
    decision = quality_of(right(0.95, seeds=3), right(0.5), policy, guardrails=evidence)
    assert verdicts(decision)["guardrail: lm-eval arc acc"].value == verdict


def test_a_task_whose_metric_is_an_error_rate_is_harmed_by_a_rise() -> None:
    policy = guarded(lm_eval=[{"task": "lambada", "metric": "loss", "margin": 0.1}])
    for rise, verdict in ((-0.5, "pass"), (0.5, "fail")):
        found = TaskScores(base=errors(3.0), trained=errors(3.0 + rise), higher_is_better=False)
        evidence = GuardrailEvidence(tasks={"lm-eval lambada loss": found})
        decision = quality_of(right(0.95), right(0.5), policy, guardrails=evidence)
        assert verdicts(decision)["guardrail: lm-eval lambada loss"].value == verdict


def test_documents_of_a_task_are_paired_by_their_name() -> None:
    policy = guarded(lm_eval=[{"task": "arc", "margin": 0.0}])
    base = right(0.5)
    turned = ScoredRows(base.name, base.row_ids[::-1], base.scores[:, ::-1], base.evidence)
    found = TaskScores(base=base, trained=turned, higher_is_better=True)
    evidence = GuardrailEvidence(tasks={"lm-eval arc acc": found})
    decision = quality_of(right(0.95), right(0.5), policy, guardrails=evidence)
    interval = next(rule.interval for rule in decision.rules if rule.name.endswith("arc acc"))
    # Paired by place instead, every row would differ, and the bounds lie at a tenth.
    assert interval is not None and interval.mean == 0.0 and interval.upper < 0.03


def test_a_metric_of_ones_own_has_its_own_direction_and_range() -> None:
    own = Metric(
        name="toxicity",
        tasks=(Task.INSTRUCTION,),
        higher_is_better=False,
        minimum=0.0,
        maximum=1.0,
        binary=True,
        sentence="of my own",
    )
    policy = Policy(metric="toxicity", own_metric=own, target=0.1, margin=0.05, minimum_uplift=0.05)
    assert policy.lenient_target == 0.15
    assert quality_of(right(0.05), right(0.5), policy).verdict is Verdict.PASS
    assert quality_of(right(0.5), right(0.5), policy).verdict is Verdict.FAIL
    with pytest.raises(ValueError, match="range"):
        Policy(**{**policy.model_dump(), "target": 2.0})


def test_a_guardrail_without_its_evidence_is_never_passed_over() -> None:
    for rails in (
        {"forgetting": {}},
        {"answer_format": {"pattern": "x"}},
        {"serving": {"maximum_latency_ratio": 2.0}},
        {"lm_eval": [{"task": "arc_easy", "margin": 0.02}]},
    ):
        with pytest.raises(ValueError, match="policy"):
            quality_of(right(0.95), right(0.5), guarded(**rails))


def promote(
    challenger: float, champion: float | None, anchor: float, permit: Permit | None = None, **rails: Any
) -> Decision:
    return decide_promotion(
        right(challenger, name="the challenger"),
        None if champion is None else right(champion, name="the champion"),
        right(anchor, name="the anchor"),
        permit=permit,
        slices={},
        policy=guarded(**rails),
        run_id=RUN,
        alpha=0.05,
    )


def test_nothing_that_was_trained_for_a_benchmark_is_promoted() -> None:
    escalation = escalation_of(quality_of(right(0.8, seeds=5), right(0.5)))
    permit = issue_permit(escalation, **ISSUED)
    laboratory = permit.model_copy(update={"issuer": PermitIssuer.LABORATORY})
    assert verdicts(promote(0.95, None, 0.5, permit))[PERMITTED] is Verdict.PASS
    assert promote(0.95, None, 0.5, permit).verdict is Verdict.PASS
    refused = promote(0.95, None, 0.5, laboratory)
    assert verdicts(refused)[PERMITTED] is Verdict.FAIL and refused.verdict is Verdict.FAIL
    assert PERMITTED not in verdicts(promote(0.95, None, 0.5))


def test_a_challenger_is_held_to_champion_anchor_and_floor() -> None:
    assert promote(0.95, 0.95, 0.95).verdict is Verdict.PASS
    assert promote(0.95, None, 0.5).verdict is Verdict.PASS
    assert promote(0.92, 0.97, 0.92).verdict is Verdict.FAIL
    # Every step down was small; the anchor remembers where they began.
    crept = promote(0.93, 0.94, 0.97)
    assert verdicts(crept)["not inferior to the champion"] is Verdict.PASS
    assert crept.verdict is Verdict.FAIL
    assert promote(0.85, 0.85, 0.85).verdict is Verdict.FAIL


def test_a_challenger_does_not_set_the_terms_of_its_own_promotion() -> None:
    lax = Policy(**{**ACCURACY.model_dump(), "promotion": {"margin": 1.0, "floor": 0.0}})

    def judged(terms: PromotionTerms | None, policy: Policy = lax) -> dict[str, Verdict]:
        champion = right(0.97, name="the champion")
        decision = decide_promotion(
            right(0.85, name="the challenger"),
            champion,
            champion,
            permit=None,
            slices={},
            policy=policy,
            run_id=RUN,
            alpha=0.05,
            terms=terms,
        )
        return {**verdicts(decision), "whole": decision.verdict}

    assert judged(None)["whole"] is Verdict.PASS
    close = judged(PromotionTerms(margin=0.02, floor=0.0))
    assert close["not inferior to the champion"] is close["not inferior to the anchor"] is Verdict.FAIL
    assert judged(PromotionTerms(margin=1.0, floor=0.9))["level above the floor"] is Verdict.FAIL
    # A stricter challenger is held to its own.
    assert judged(PromotionTerms(margin=1.0, floor=0.0), guarded())["whole"] is Verdict.FAIL


def test_a_champion_with_lax_terms_does_not_loosen_those_of_the_anchor() -> None:
    lax = Policy(**{**ACCURACY.model_dump(), "promotion": {"margin": 1.0, "floor": 0.0}})
    stated = Policy(**{**ACCURACY.model_dump(), "promotion": {"margin": 0.01}})
    own = PromotionTerms(margin=ACCURACY.margin, floor=ACCURACY.lenient_target)
    assert strictest([]) is None
    assert strictest([lax, ACCURACY]) == strictest([ACCURACY, lax]) == own
    assert strictest([lax, stated]) == PromotionTerms(margin=0.01, floor=ACCURACY.lenient_target)


def test_the_stricter_floor_is_the_lower_one_where_lower_is_better() -> None:
    one, other = PromotionTerms(margin=0.1, floor=11.0), PromotionTerms(margin=1.0, floor=5.0)
    assert one.stricter(other, higher_is_better=False) == PromotionTerms(margin=0.1, floor=5.0)
    assert one.stricter(other, higher_is_better=True) == PromotionTerms(margin=0.1, floor=11.0)


def test_rows_that_the_champion_has_learned_are_told_and_decide_nothing() -> None:
    def judged(learned: int | None) -> Decision:
        champion = right(0.94, name="the champion")
        return decide_promotion(
            right(0.95, name="the challenger"),
            champion,
            champion,
            permit=None,
            slices={},
            policy=ACCURACY,
            run_id=RUN,
            alpha=0.05,
            rows_champion_learned=learned,
            registration=DIGEST,
        )

    assert UNSEEN not in verdicts(judged(None))
    assert verdicts(judged(0))[UNSEEN] is Verdict.PASS
    flattered = judged(7)
    assert verdicts(flattered)[UNSEEN] is Verdict.FAIL and flattered.verdict is Verdict.PASS
    assert "7 of these rows, which flatters it" in next(
        rule.sentence for rule in flattered.rules if rule.name == UNSEEN
    )
    assert flattered.registration == DIGEST


def test_the_contract_gate_fails_on_blocking_rules_only() -> None:
    def evidence(severity: RuleSeverity, allowed_percent: float | None = None) -> ContractEvidence:
        rule = ContractRule(
            name="text.minLength",
            rule=None,
            severity=severity,
            allowed_percent=allowed_percent,
            passed=False,
            observed="1 of 9 rows break it",
            expected="text",
            broken_rows=1,
            broken_percent=100 / 9,
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
            max_tokens=64,
            cut_rows={},
            rules=(rule,),
            labels=("a", "b"),
            drift=None,
        )

    blocked = decide_contract(evidence(RuleSeverity.BLOCKING), policy=ACCURACY, run_id=RUN)
    assert blocked.verdict is Verdict.FAIL
    assert "text.minLength" in blocked.sentence
    for severity in (RuleSeverity.QUARANTINE, RuleSeverity.WARNING):
        assert decide_contract(evidence(severity), policy=ACCURACY, run_id=RUN).verdict is Verdict.PASS

    beyond = evidence(RuleSeverity.QUARANTINE, allowed_percent=11.0)
    within = evidence(RuleSeverity.QUARANTINE, allowed_percent=12.0)
    verdicts = [decide_contract(e, policy=ACCURACY, run_id=RUN).verdict for e in (beyond, within)]
    assert verdicts == [Verdict.FAIL, Verdict.PASS]
