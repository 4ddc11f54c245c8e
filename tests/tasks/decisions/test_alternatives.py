"""A decision says what it left undone: the way not taken, and why."""

import pytest

from data_contracts.records.bases import FairnessBasis, FitBasis, Judgement, PowerBasis
from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.forecast import Forecast, MemoryParts, Moment
from data_contracts.records.policy import Remedy
from tasks.decisions.alternatives import alternatives_to
from tests.data_contracts.test_permit import make_decision
from tests.tasks.decisions.conftest import DIGEST

POWER = PowerBasis(registration=DIGEST)


def left(gate: Gate, verdict: Verdict) -> tuple[str, ...]:
    return alternatives_to(Judgement(decision=make_decision(gate=gate, verdict=verdict), basis=POWER))


@pytest.mark.parametrize(
    ("gate", "verdict", "told"),
    [
        (Gate.CONTRACT, Verdict.FAIL, "To train on this data"),
        (Gate.NEED, Verdict.PASS, "To leave the base as it is"),
        (Gate.QUALITY, Verdict.PASS, "Full fine-tuning: the pilot is good enough"),
        (Gate.QUALITY, Verdict.INCONCLUSIVE, "Full fine-tuning: that the pilot falls short is not shown"),
        (Gate.ESCALATION, Verdict.INCONCLUSIVE, "a person's answer is missing"),
        (Gate.JUSTIFICATION, Verdict.PASS, "To offer the pilot"),
    ],
)
def test_the_way_not_taken_is_named(gate: Gate, verdict: Verdict, told: str) -> None:
    assert any(told in sentence for sentence in left(gate, verdict))


def test_a_refusal_gives_the_rules_that_refused() -> None:
    def rule(name: str, verdict: Verdict, *, decides: bool = True) -> RuleResult:
        return RuleResult(
            name=name,
            observed="x",
            interval=None,
            threshold="y",
            verdict=verdict,
            sentence=f"{name} says so.",
            decides=decides,
        )

    rules = (
        rule("data", Verdict.FAIL),
        rule("budget", Verdict.PASS),
        rule("approval", Verdict.INCONCLUSIVE),
        rule("distance", Verdict.FAIL, decides=False),
    )
    decision = make_decision(verdict=Verdict.FAIL).model_copy(update={"rules": rules})
    assert alternatives_to(Judgement(decision=decision, basis=POWER)) == (
        "Full fine-tuning: data: data says so.",
        "Full fine-tuning: approval: approval says so.",
    )


def test_pilots_that_were_not_chosen_are_named_with_the_reason() -> None:
    def forecast(rung: str, needed_bytes: int) -> Forecast:
        parts = {name: 0 for name in MemoryParts.model_fields if name.endswith("_bytes")}
        memory = MemoryParts(**{**parts, "weights_bytes": needed_bytes}, moment=Moment.LOADING)
        return Forecast(rung=rung, trained_parameters=1, total_parameters=2, artifact_bytes=1, memory=memory)

    def told(available: int) -> tuple[str, ...]:
        basis = FitBasis(
            forecasts=(forecast("lora", 10), forecast("qlora", 5)),
            available_memory_bytes=available,
            changes=(),
            base_model=DIGEST,
        )
        return alternatives_to(Judgement(decision=make_decision(gate=Gate.FIT), basis=basis))

    assert told(20) == ("A pilot by qlora: lora was asked for first and fits.",)
    assert told(7) == ("A pilot by lora: it does not fit.",)
    assert told(1) == ("A pilot by lora: it does not fit.", "A pilot by qlora: it does not fit.")


def test_other_remedies_wait_their_turn() -> None:
    decision: Decision = make_decision(gate=Gate.FAIRNESS, verdict=Verdict.FAIL)
    basis = FairnessBasis(trials=(), sweep=(), unquantised_fits=True, must_be_fair=False)
    swept = decision.model_copy(update={"remedy": Remedy.SWEEP})
    told = alternatives_to(Judgement(decision=swept, basis=basis))
    assert len(told) == len(Remedy) - 2 and not any("The remedy sweep:" in each for each in told)
    assert alternatives_to(Judgement(decision=decision, basis=basis)) == ()
