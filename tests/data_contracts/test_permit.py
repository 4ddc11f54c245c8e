"""A permit covers exactly one piece of work, and says every way in which it does not."""

import pytest
from pydantic import ValidationError

from data_contracts.errors import PermitRefusedError
from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.permit import Permit

TIMES = {"issued_at": "2026-11-25T08:00:00.000000Z", "expires_at": "2099-01-01T00:00:00.000000Z"}
DIGESTS = {name: f"sha256:{index:064x}" for index, name in enumerate(("snapshot", "base_model", "policy"))}
OTHER = "sha256:" + "f" * 64
WORK = {"run_id": "run-1", "rung": "full", "seed": 17, **DIGESTS}


def make_decision(
    *, gate: Gate = Gate.ESCALATION, verdict: Verdict = Verdict.PASS, rules: int = 1
) -> Decision:
    rule = RuleResult(
        name="demonstrated shortfall",
        observed="accuracy 0.5",
        interval=None,
        threshold="at least 0.9",
        verdict=verdict,
        sentence="The pilot falls short.",
    )
    return Decision(
        gate=gate,
        verdict=verdict,
        rules=(rule,) * rules,
        sentence="Allowed.",
        run_id="run-1",
        policy=DIGESTS["policy"],
        evidence=(),
    )


def make_permit(**changes: object) -> Permit:
    values = {
        "issuer": "escalation gate",
        "run_id": "run-1",
        "rung": "full",
        "seeds": (17, 18),
        "price_processor_hours": 2.0,
        "decision": make_decision(),
        **TIMES,
        **DIGESTS,
        **changes,
    }
    return Permit.model_validate(values)


def test_it_covers_the_work_it_was_issued_for() -> None:
    make_permit().require(**WORK)


@pytest.mark.parametrize("name", ["snapshot", "base_model", "policy"])
def test_it_covers_no_other_work(name: str) -> None:
    with pytest.raises(PermitRefusedError, match=name.replace("_", " ")):
        make_permit().require(**{**WORK, name: OTHER})


def test_it_covers_no_other_run() -> None:
    with pytest.raises(PermitRefusedError, match="run run-1, and this is run run-2"):
        make_permit().require(**{**WORK, "run_id": "run-2"})


def test_it_covers_no_other_method() -> None:
    with pytest.raises(PermitRefusedError, match="for method full, and this is method layers"):
        make_permit().require(**{**WORK, "rung": "layers"})


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (make_decision(verdict=Verdict.FAIL), "says fail"),
        (make_decision(verdict=Verdict.INCONCLUSIVE), "says inconclusive"),
        (make_decision(gate=Gate.QUALITY), "of the quality gate"),
        (make_decision(rules=0), "holds no rules"),
        (
            make_decision().model_copy(update={"rules": make_decision(verdict=Verdict.FAIL).rules}),
            "a rule of",
        ),
        (make_decision().model_copy(update={"run_id": "run-0"}), "decision of run"),
        (make_decision().model_copy(update={"policy": OTHER}), "decision under policy"),
    ],
)
def test_its_decision_must_be_a_passed_escalation_of_this_run(decision: Decision, told: str) -> None:
    with pytest.raises(PermitRefusedError, match=told):
        make_permit(decision=decision).require(**WORK)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(PermitRefusedError) as caught:
        make_permit().require(
            run_id="run-9", snapshot=OTHER, base_model=OTHER, policy=OTHER, rung="layers", seed=5
        )
    assert str(caught.value).count("\n  - ") == 8


def test_it_covers_its_seeds_alone() -> None:
    make_permit().require(**{**WORK, "seed": 18})
    with pytest.raises(PermitRefusedError, match="for seed 17, 18, and this is seed 19"):
        make_permit().require(**{**WORK, "seed": 19})


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": ()},
        {"seeds": (17, 17)},
        {"price_processor_hours": -1.0},
        {"expires_at": TIMES["issued_at"]},
        {"issuer": "somebody"},
    ],
)
def test_one_that_could_never_be_redeemed_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make_permit(**changes)
