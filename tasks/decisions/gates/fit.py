"""The fit gate: can a pilot be trained on this machine? Time is priced once a pilot has been timed."""

from collections.abc import Sequence

from data_contracts.records.decision import Decision, Gate, RuleResult
from data_contracts.records.policy import Policy
from tasks.decisions.forecast import Forecast, first_that_fits
from tasks.decisions.gates.rules import plain_rule


def decide_fit(
    forecasts: Sequence[Forecast],
    *,
    available_memory_bytes: int,
    evidence: str,
    policy: Policy,
    run_id: str,
) -> Decision:
    """Passes when a pilot fits the machine's memory.

    Args:
        forecasts: of the pilots that may be trained, the one that was asked for first.
        evidence: digest of what the forecasts were made from.
    """
    rule = _memory_rule(forecasts, first_that_fits(forecasts, available_memory_bytes), available_memory_bytes)
    return Decision(
        gate=Gate.FIT,
        verdict=rule.verdict,
        rules=(rule,),
        sentence=rule.sentence,
        run_id=run_id,
        policy=policy.digest(),
        evidence=(evidence,),
    )


def _memory_rule(forecasts: Sequence[Forecast], chosen: Forecast | None, available: int) -> RuleResult:
    each = ", ".join(f"{forecast.rung} {_gib(forecast.peak_memory_bytes)}" for forecast in forecasts)
    if chosen is None:
        sentence = (
            "No pilot fits: a smaller training.micro_batch_size or model.max_tokens, a smaller base model, "
            "or a machine with more memory would do."
        )
    elif chosen is forecasts[0]:
        needed = _gib(chosen.peak_memory_bytes)
        sentence = f"{chosen.rung} needs about {needed}, which this machine has."
    else:
        sentence = f"{forecasts[0].rung} does not fit this machine's memory; {chosen.rung} does."
    return plain_rule(
        "memory",
        passed=chosen is not None,
        observed=f"forecast: {each}",
        threshold=f"at most {_gib(available)}",
        sentence=sentence,
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
