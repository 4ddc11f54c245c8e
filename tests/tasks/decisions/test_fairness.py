"""A short pilot is made fair before it is judged, in a fixed order and within the policy's limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records.decision import Decision, Verdict
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.policy import Policy, Remedy
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings
from tasks.decisions.gates import decide_fairness
from tasks.decisions.gates.fairness import made_fair, passed_by_clearing
from tasks.decisions.remedies import (
    best_rate_is_bracketed,
    best_trial,
    by_method,
    doubled,
    fairest_trial,
    next_sweep_runs,
    rank_helped,
    remedied,
    sweep_winner,
)
from tests.tasks.decisions.conftest import ACCURACY, BRACKETED, ERROR_RATE, NO_COST, RUN, points, trial

EXPLORATORY = Policy(extends="exploratory", metric="accuracy", target=0.9, margin=0.02)
SWEPT = points(**BRACKETED)


def judge(
    trials: list[PilotTrial], sweep: list[SweepPoint], policy: Policy = ACCURACY, **options: Any
) -> Decision:
    options = {"unquantised_fits": True, "must_be_fair": False, **options}
    return decide_fairness(trials, sweep, policy=policy, run_id=RUN, **options)


def limited(**remedies: Any) -> Policy:
    values = ACCURACY.model_dump()
    return Policy(**{**values, "remedies": {**values["remedies"], **remedies}})


def probed(gain: float) -> list[PilotTrial]:
    return [
        trial(1),
        trial(2, remedy="double_rank", settings={"rank": 32}, tune_score=0.8 + gain, tune_loss=0.6),
    ]


def test_a_pilot_that_clears_the_target_on_tune_needs_no_further_test() -> None:
    decision = judge([trial(tune_score=0.9, settings={"target_modules": ("query",)})], [])
    assert decision.verdict is Verdict.PASS and passed_by_clearing(decision)
    assert decision.remedy is None


def test_after_a_look_that_did_not_pass_clearing_is_not_enough() -> None:
    decision = judge([trial(tune_score=0.95)], [], must_be_fair=True)
    assert decision.remedy is Remedy.SWEEP and not passed_by_clearing(decision)


def test_remedies_come_in_their_order() -> None:
    attention_only = trial(settings={"target_modules": ("query",), "method": "qlora"})
    assert judge([attention_only], []).remedy is Remedy.ALL_LAYERS
    quantised = trial(2, settings={"method": "qlora"}, tune_score=0.81)
    assert judge([attention_only, quantised], []).remedy is Remedy.SWEEP
    assert judge([attention_only, quantised], SWEPT).remedy is Remedy.UNQUANTISE
    assert judge([attention_only, quantised], SWEPT, unquantised_fits=False).remedy is Remedy.DOUBLE_RANK
    unquantised = trial(3, remedy="unquantise", tune_score=0.82)
    assert judge([attention_only, quantised, unquantised], SWEPT).remedy is Remedy.DOUBLE_RANK


@pytest.mark.parametrize("method", ["rslora", "dora", "pissa", "adalora"])
def test_a_relative_of_lora_is_judged_like_lora(method: str) -> None:
    pilots = [trial(settings={"method": method})]
    assert judge(pilots, []).remedy is Remedy.SWEEP
    pilots.append(trial(2, remedy="double_rank", settings={"method": method, "rank": 32}))
    assert judge(pilots, SWEPT).verdict is Verdict.PASS


@pytest.mark.parametrize("method", ["adapter", "somebodys"])
def test_any_other_method_that_is_short_gives_lora_its_turn(method: str) -> None:
    """A shortfall of bottlenecks, or of a method that nobody here knows, says nothing of LoRA."""
    other = trial(settings={"method": method}, tune_score=0.85)
    decision = judge([other], [])
    assert decision.remedy is Remedy.ALL_LAYERS
    after = remedied(other.settings, Remedy.ALL_LAYERS)
    assert (after.method, after.target_modules, after.rank) == ("lora", "all-linear", 16)
    assert judge([other, trial(2, remedy="all_layers")], []).remedy is Remedy.SWEEP
    assert judge([other], [], limited(allowed=["sweep", "double_rank"])).verdict is Verdict.FAIL


def test_alpha_follows_from_a_rank_stabilised_pilot_to_another() -> None:
    assert by_method(PilotSettings(method="rslora"), Rung.QLORA).alpha == 32
    assert by_method(PilotSettings(method="rslora", rank=128), Rung.QLORA).alpha == 256
    assert by_method(PilotSettings(method="rslora", alpha=16), Rung.LORA).alpha == 16
    assert by_method(PilotSettings(method="qlora", alpha=8), Rung.LORA).alpha == 8


def test_rank_stabilised_scales_need_no_other_alpha_at_higher_ranks() -> None:
    assert doubled(PilotSettings(method="rslora", rank=32)).alpha == 8
    assert doubled(PilotSettings(rank=32)).alpha == 128


def test_remedies_go_on_from_the_mended_pilot_even_where_the_faulty_one_is_ahead() -> None:
    narrow = trial(settings={"target_modules": ("query",)}, tune_score=0.85)
    wide = trial(2, remedy="all_layers", tune_score=0.80)
    assert judge([narrow, wide], []).remedy is Remedy.SWEEP
    rank = trial(3, remedy="double_rank", settings={"rank": 32}, tune_score=0.80)
    assert judge([narrow, wide, rank], SWEPT).verdict is Verdict.PASS
    # What is looked at is the best of all.
    assert best_trial([narrow, wide, rank], ACCURACY).number == 1
    quantised = trial(settings={"method": "qlora"}, tune_score=0.85)
    assert judge([quantised, wide, rank], SWEPT).verdict is Verdict.PASS


@pytest.mark.parametrize(("gain", "helped"), [(0.0, False), (0.004, False), (0.006, True), (-0.1, False)])
def test_doubling_the_rank_helps_from_a_quarter_of_the_margin(gain: float, helped: bool) -> None:
    assert rank_helped(probed(gain), ACCURACY) is helped
    decision = judge(probed(gain), SWEPT)
    assert decision.remedy is (Remedy.DOUBLE_RANK if helped else None)
    if not helped:
        assert decision.verdict is Verdict.PASS
        assert "did not help" in decision.rules[-1].observed


def test_a_rank_that_still_helps_at_the_limit_is_fair_only_with_room_to_spare() -> None:
    policy = limited(maximum_rank=32)
    assert judge(probed(0.02), SWEPT, policy).verdict is Verdict.PASS
    tight = [each.model_copy(update={"information_bits": 3e6}) for each in probed(0.02)]
    decision = judge(tight, SWEPT, policy)
    assert decision.verdict is Verdict.FAIL and decision.remedy is None


def test_a_sweep_whose_best_rate_lies_at_an_edge_is_not_fair() -> None:
    decision = judge(probed(0.0), points(r3e4=0.9, r1e3=0.7, r3e3=0.5))
    assert decision.verdict is Verdict.FAIL and decision.remedy is None
    assert "learning rate" in decision.sentence


@pytest.mark.parametrize(
    "fault",
    [
        {"steps": 99},
        {"supervised_tokens": 0},
        {"lowest_train_loss": 0.0},
        {"truncated_share": 0.021},
    ],
)
def test_what_no_remedy_mends_makes_the_pilot_invalid(fault: dict[str, Any]) -> None:
    faulty = [each.model_copy(update=fault) for each in probed(0.0)]
    decision = judge(faulty, SWEPT)
    assert decision.verdict is Verdict.FAIL and decision.remedy is None


def test_a_pilot_that_tune_stopped_early_has_had_its_steps() -> None:
    stopped = [each.model_copy(update={"steps": 40, "stopped_early": True}) for each in probed(0.0)]
    decision = judge(stopped, SWEPT)
    assert decision.verdict is Verdict.PASS and decision.remedy is None
    (rule,) = (rule for rule in decision.rules if "steps" in rule.name)
    assert "stopped after 40 of 100 steps" in rule.sentence and "same rule" in rule.sentence
    assert rule.observed == "40 steps, stopped early"
    # Without it, the same 40 steps are too few, and no remedy mends that.
    cut = [each.model_copy(update={"stopped_early": False}) for each in stopped]
    assert judge(cut, SWEPT).verdict is Verdict.FAIL


def test_a_pilot_that_diverged_gets_a_sweep() -> None:
    diverged = trial(diverged=True, tune_score=0.0, supervised_tokens=0, lowest_train_loss=0.0, evidence=())
    assert judge([diverged], []).remedy is Remedy.SWEEP
    learnt = trial(2, remedy="sweep", settings={"learning_rate": 3e-4}, tune_score=0.3)
    assert judge([diverged, learnt], SWEPT).remedy is Remedy.DOUBLE_RANK
    alone = judge([diverged], SWEPT)
    assert alone.verdict is Verdict.FAIL


def test_nothing_is_spent_where_something_is_beyond_remedy() -> None:
    cut = trial(truncated_share=0.5)
    decision = judge([cut], [])
    assert decision.remedy is None and decision.verdict is Verdict.FAIL


def test_limits_end_the_remedies() -> None:
    policy = limited(maximum_pilots=2)
    used_up = [trial(1), trial(2, settings={"learning_rate": 3e-3}, remedy="sweep")]
    decision = judge(used_up, SWEPT, policy)
    assert decision.remedy is None and decision.verdict is Verdict.PASS  # there is room in the adapter
    tight = [each.model_copy(update={"information_bits": 3e6}) for each in used_up]
    decision = judge(tight, SWEPT, policy)
    assert decision.remedy is None and decision.verdict is Verdict.FAIL


def test_an_exploratory_policy_judges_with_a_warning() -> None:
    decision = judge([trial()], [], EXPLORATORY)
    assert decision.verdict is Verdict.PASS and decision.remedy is None
    assert "not made fair" in decision.sentence and not passed_by_clearing(decision)


def test_what_teaches_nothing_is_invalid_under_any_policy() -> None:
    decision = judge([trial(supervised_tokens=0)], [], EXPLORATORY)
    assert decision.verdict is Verdict.FAIL


def test_the_best_pilot_follows_the_metrics_direction() -> None:
    low, high = trial(1, tune_score=0.4), trial(2, tune_score=0.6)
    assert best_trial([low, high], ACCURACY).number == 2
    assert best_trial([low, high], ERROR_RATE).number == 1
    assert best_trial([low, trial(2, tune_score=0.4)], ACCURACY).number == 1


def runs(sweep: list[SweepPoint], policy: Policy = ACCURACY) -> tuple[tuple[float, int], ...]:
    return next_sweep_runs(sweep, reference_rate=1e-4, full_steps=99, policy=policy)


def test_a_sweep_tries_the_usual_multiples_for_a_third_of_the_steps() -> None:
    assert runs([]) == ((3e-4, 33), (1e-3, 33), (3e-3, 33))
    assert runs(SWEPT) == ()
    assert sweep_winner(SWEPT) == 1e-3


def test_a_sweep_is_widened_while_the_best_lies_at_an_edge() -> None:
    upward = points(r3e4=0.9, r1e3=0.7, r3e3=0.5)
    assert runs(upward) == ((9e-3, 33),)
    assert runs([*upward, *points(r1e2=0.6)]) == ()
    downward = points(r3e4=0.5, r1e3=0.7, r3e3=0.9)
    assert runs(downward) == ((1e-4, 33),)
    assert runs(upward, limited(maximum_rates=3)) == ()
    narrow = limited(allowed=("all_layers", "sweep", "unquantise", "double_rank"))
    assert runs(upward, narrow) == ()


def test_a_rate_that_diverged_brackets_the_best() -> None:
    assert best_rate_is_bracketed(points(r3e4=0.9, r1e3=0.5, r3e3=None))
    assert not best_rate_is_bracketed(points(r3e4=None, r1e3=None, r3e3=None))
    assert not best_rate_is_bracketed([])


def test_where_every_rate_diverges_lower_ones_are_tried() -> None:
    assert runs(points(r3e4=None, r1e3=None, r3e3=None)) == ((1e-4, 33),)


def test_many_rates_are_halved_in_rounds() -> None:
    rates = tuple(float(3 ** (index / 2)) for index in range(9))
    values = ACCURACY.model_dump()
    policy = Policy(
        **{
            **values,
            "fairness": {**values["fairness"], "rate_multiples": rates},
            "remedies": {**values["remedies"], "maximum_rates": 9},
        }
    )
    first = runs([], policy)
    assert len(first) == 9 and {steps for _, steps in first} == {11}
    tried = [
        SweepPoint(learning_rate=rate, steps=11, tune_loss=abs(index - 4.1), cost=NO_COST)
        for index, (rate, _) in enumerate(first)
    ]
    second = runs(tried, policy)
    assert sorted(rate for rate, _ in second) == [rate for rate, _ in first[3:6]]
    assert {steps for _, steps in second} == {33}
    done = [
        SweepPoint(learning_rate=rate, steps=33, tune_loss=1.0 / (1 + index), cost=NO_COST)
        for index, (rate, _) in enumerate(second)
    ]
    assert runs([*tried, *done], policy) == ()
    assert sweep_winner([*tried, *done]) == second[-1][0]


def test_each_remedy_changes_one_thing() -> None:
    before = trial(settings={"target_modules": ("query",), "method": "qlora", "rank": 32}).settings
    changes = {
        Remedy.ALL_LAYERS: {"target_modules": "all-linear"},
        Remedy.UNQUANTISE: {"method": "lora"},
        Remedy.DOUBLE_RANK: {"rank": 64, "alpha": 128},
        Remedy.SWEEP: {"learning_rate": 3e-3},
    }
    for remedy, changed in changes.items():
        after = remedied(before, remedy, swept_rate=3e-3)
        assert after.model_dump(mode="json") == {**before.model_dump(mode="json"), **changed}
    with pytest.raises(ValueError, match="rate that won"):
        remedied(before, Remedy.SWEEP)


@given(st.data())
def test_remedies_always_end_within_their_limits(data: st.DataObject) -> None:
    """Whatever tune says, no remedy is asked for twice without effect, and the limits hold."""
    draw = data.draw
    layers = draw(st.sampled_from(["all-linear", ("query",)]))
    method = draw(st.sampled_from(["lora", "qlora"]))
    score = st.floats(0.0, 0.89)
    first = {"target_modules": layers, "method": method}
    trials = [trial(1, settings=first, tune_score=draw(score))]
    sweep: list[SweepPoint] = []
    fits = draw(st.booleans())
    for _ in range(ACCURACY.remedies.maximum_pilots + 2):
        decision = judge(trials, sweep, unquantised_fits=fits)
        if decision.remedy is None:
            break
        fairest = fairest_trial(trials, ACCURACY)
        swept = None
        if decision.remedy is Remedy.SWEEP:
            while wanted := runs(sweep):
                sweep += [
                    SweepPoint(
                        learning_rate=rate,
                        steps=steps,
                        tune_loss=draw(st.none() | st.floats(0, 3)),
                        cost=NO_COST,
                    )
                    for rate, steps in wanted
                ]
            swept = sweep_winner(sweep)
        settings = remedied(fairest.settings, decision.remedy, swept_rate=swept)
        if settings not in [each.settings for each in trials]:
            values = settings.model_dump()
            trials.append(
                trial(len(trials) + 1, settings=values, remedy=decision.remedy, tune_score=draw(score))
            )
    assert decision.remedy is None
    assert len(trials) <= ACCURACY.remedies.maximum_pilots
    assert len({point.learning_rate for point in sweep}) <= ACCURACY.remedies.maximum_rates


CONTINUED = {"continues": "earlier-20261126-120000-abcd"}


def test_a_pilot_that_goes_on_from_an_adapter_may_be_looked_at_where_it_clears_the_target() -> None:
    decision = judge([trial(tune_score=0.95, settings=CONTINUED)], [])
    assert decision.verdict is Verdict.PASS and passed_by_clearing(decision) and not made_fair(decision)


@pytest.mark.parametrize("policy", [ACCURACY, EXPLORATORY, limited(allowed=["sweep"], maximum_pilots=2)])
def test_one_that_is_short_is_followed_by_one_from_the_base_whatever_remedies_are_left(
    policy: Policy,
) -> None:
    short = trial(settings={**CONTINUED, "target_modules": ("query",)}, diverged=True)
    for decision in (
        judge([short], [], policy),
        judge([trial(tune_score=0.95, settings=CONTINUED)], [], policy, must_be_fair=True),
    ):
        assert decision.remedy is Remedy.FROM_BASE and decision.verdict is Verdict.FAIL
        assert [rule.name for rule in decision.rules] == ["it began at the base"]


def test_the_method_is_judged_by_the_pilot_from_the_base_even_where_the_other_is_ahead() -> None:
    ahead = trial(settings=CONTINUED, tune_score=0.89)
    own = trial(2, remedy="from_base", tune_score=0.7)
    assert best_trial([ahead, own], ACCURACY) == fairest_trial([ahead, own], ACCURACY) == own
    assert judge([ahead, own], []).remedy is Remedy.SWEEP
    narrow = trial(2, remedy="from_base", settings={"target_modules": ("query",)}, tune_score=0.7)
    assert judge([ahead, narrow], []).remedy is Remedy.ALL_LAYERS
    probes = [own, trial(3, remedy="double_rank", settings={"rank": 32}, tune_score=0.7)]
    assert made_fair(judge([ahead, *probes], SWEPT))


def test_a_pilot_that_went_on_from_an_adapter_uses_up_none_of_the_policys_pilots() -> None:
    ahead, own = trial(settings=CONTINUED), trial(2, remedy="from_base")
    assert judge([ahead, own], [], limited(maximum_pilots=2)).remedy is Remedy.SWEEP
    assert judge([own, trial(3)], [], limited(maximum_pilots=2)).remedy is None
