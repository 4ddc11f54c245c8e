"""Too few gate rows, or too many looks at them, are told before anything is trained."""

from datetime import UTC, datetime
from typing import Any

import pytest

from data_contracts.records.decision import Decision, Verdict
from data_contracts.records.looks import RegisteredLook, Registration
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import Split
from tasks.decisions.gates import decide_power
from tasks.decisions.gates.power import LOOKS_LEFT, RESOLVES, RESOLVES_SHORTFALL
from tasks.decisions.gates.rules import alpha_of_look
from tasks.decisions.looks import sketch_rows
from tests.tasks.decisions.conftest import ACCURACY, DIGEST, ERROR_RATE, RUN


def decide(policy: Policy, rows: int, **changes: Any) -> Decision:
    registration = Registration(
        run_id=RUN,
        policy=policy.digest(),
        policy_name=policy.full_name,
        snapshot=DIGEST,
        base_model=DIGEST,
        metric=policy.metric,
        target=policy.target,
        margin=policy.margin,
        minimum_uplift=0.0,
        minimum_gain_of_full=0.0,
        guardrails=(),
        looks=(
            RegisteredLook(
                split=Split.GATE, rows=rows, alpha=alpha_of_look(policy, second=False, reserve=False)
            ),
        ),
        hypothesis="quality by accuracy",
        gate_rows=sketch_rows(["a"]).digest(),
        earlier_looks=changes.get("count", 0),
        alpha_spent=changes.get("spent", 0.0),
        registered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return decide_power(registration, policy=policy, run_id=RUN)


def verdict_of(decision: Decision, name: str) -> Verdict:
    return next(rule.verdict for rule in decision.rules if rule.name == name)


def changed(**values: Any) -> Policy:
    return Policy(**{**ACCURACY.model_dump(), **values})


def test_rows_are_enough_from_the_number_that_the_gate_itself_names() -> None:
    few = decide(ACCURACY, 500)
    assert few.verdict is Verdict.FAIL and "add rows" in few.sentence
    threshold = next(rule.threshold for rule in few.rules if rule.name == RESOLVES)
    needed = int(threshold.partition("from ")[2].split()[0].replace(",", ""))
    assert decide(ACCURACY, needed).verdict is Verdict.PASS
    assert decide(ACCURACY, needed - 60).verdict is Verdict.FAIL


def test_a_warning_lets_the_run_go_on() -> None:
    power = {**ACCURACY.power.model_dump(), "on_breach": "warn"}
    assert decide(changed(power=power), 50).verdict is Verdict.PASS


@pytest.mark.parametrize("margin", [0.0, 1e-6])
def test_a_margin_that_no_number_of_rows_resolves_is_no_crash(margin: float) -> None:
    assert decide(changed(margin=margin), 1000).verdict is Verdict.FAIL


def test_without_a_registered_spread_other_metrics_are_not_judged() -> None:
    assert decide(ERROR_RATE, 30).verdict is Verdict.PASS
    known = Policy(**{**ERROR_RATE.model_dump(), "power": {"standard_deviation": 0.4}})
    assert decide(known, 30).verdict is Verdict.FAIL
    assert decide(known, 3000).verdict is Verdict.PASS


def test_how_likely_a_shortfall_is_to_be_shown_falls_with_the_spread_of_seeds() -> None:
    def shown(spread: float) -> int:
        policy = changed(power={"seed_spread": spread, "discordance": 0.1}, margin=0.04)
        rule = next(r for r in decide(policy, 1500).rules if r.name == RESOLVES_SHORTFALL)
        assert not rule.decides
        return int(rule.observed.split()[1].rstrip("%"))

    assert shown(0.0) > shown(0.01) > shown(0.03)


def test_rows_whose_alpha_is_spent_are_not_asked_again() -> None:
    own = ACCURACY.alpha / 20
    assert verdict_of(decide(ACCURACY, 5000, count=19, spent=19 * own), LOOKS_LEFT) is Verdict.PASS
    used_up = decide(ACCURACY, 5000, count=20, spent=20 * own)
    assert used_up.verdict is Verdict.FAIL and "splits.rotation" in used_up.sentence
