"""The fit gate: can a pilot be trained on this machine? Time is priced once a pilot has been timed."""

from collections.abc import Sequence

from data_contracts.records.decision import Decision, Gate, RuleResult
from data_contracts.records.forecast import Forecast
from data_contracts.records.policy import Policy
from tasks.decisions.forecast import first_that_fits
from tasks.decisions.gates.rules import plain_rule


def decide_fit(
    forecasts: Sequence[Forecast],
    *,
    available_memory_bytes: int,
    changes: Sequence[str],
    evidence: str,
    policy: Policy,
    run_id: str,
) -> Decision:
    """Passes when a pilot fits the machine's memory.

    Args:
        forecasts: of the pilots that may be trained, the one that was asked for first.
        changes: each alone would make that one fit.
        evidence: digest of what the forecasts were made from.
    """
    rule = memory_rule(forecasts, changes, available_memory_bytes)
    return Decision(
        gate=Gate.FIT,
        verdict=rule.verdict,
        rules=(rule,),
        sentence=rule.sentence,
        run_id=run_id,
        policy=policy.digest(),
        evidence=(evidence,),
    )


def memory_rule(forecasts: Sequence[Forecast], changes: Sequence[str], available: int) -> RuleResult:
    """Whether one of ``forecasts`` fits, and which, with its reason; as ``decide_fit`` has it."""
    chosen = first_that_fits(forecasts, available)
    each = ", ".join(f"{forecast.rung} {_gib(forecast.needed_memory_bytes)}" for forecast in forecasts)
    asked = forecasts[0]
    if chosen is None:
        sentence = f"No pilot fits. For {asked.rung}, any of these would do: {'; '.join(changes)}."
    elif chosen is asked:
        needed = _gib(chosen.needed_memory_bytes)
        sentence = f"{chosen.rung} needs about {needed}, which this machine has."
    else:
        sentence = f"{asked.rung} does not fit this machine's memory; {chosen.rung} does."
    return plain_rule(
        "memory",
        passed=chosen is not None,
        observed=f"forecast: {each}",
        threshold=f"at most {_gib(available)}",
        sentence=sentence,
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
