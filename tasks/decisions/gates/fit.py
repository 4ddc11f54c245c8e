"""The fit gate: can a pilot be trained on this machine, in this time, for this budget?"""

from collections.abc import Sequence

from data_contracts.records.decision import Decision, Gate, RuleResult
from data_contracts.records.policy import Policy
from tasks.decisions.forecast import Forecast, first_that_fits
from tasks.decisions.gates.rules import all_of, plain_rule


def decide_fit(
    forecasts: Sequence[Forecast],
    *,
    available_memory_bytes: int,
    evidence: str,
    policy: Policy,
    run_id: str,
) -> Decision:
    """Passes when a pilot fits the machine's memory and the policy's processor time.

    Args:
        forecasts: of the pilots that may be trained, the one that was asked for first.
        evidence: digest of what the forecasts were made from.
    """
    chosen = first_that_fits(forecasts, available_memory_bytes)
    rules = [_memory_rule(forecasts, chosen, available_memory_bytes)]
    limit = policy.escalation.maximum_processor_hours
    hours = (chosen or forecasts[0]).processor_hours
    if limit is not None and hours is not None:
        rules.append(_time_rule(hours, limit))
    return Decision(
        gate=Gate.FIT,
        verdict=all_of(rules),
        rules=tuple(rules),
        sentence=" ".join(rule.sentence for rule in rules),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(evidence,),
    )


def _memory_rule(forecasts: Sequence[Forecast], chosen: Forecast | None, available: int) -> RuleResult:
    each = ", ".join(f"{forecast.rung.value} {_gib(forecast.peak_memory_bytes)}" for forecast in forecasts)
    if chosen is None:
        sentence = (
            "No pilot fits: a smaller training.micro_batch_size or model.max_tokens, a smaller base model, "
            "or a machine with more memory would do."
        )
    elif chosen is forecasts[0]:
        needed = _gib(chosen.peak_memory_bytes)
        sentence = f"{chosen.rung.value} needs about {needed}, which this machine has."
    else:
        sentence = f"{forecasts[0].rung.value} does not fit this machine's memory; {chosen.rung.value} does."
    return plain_rule(
        "memory",
        passed=chosen is not None,
        observed=f"forecast: {each}",
        threshold=f"at most {_gib(available)}",
        sentence=sentence,
    )


def _time_rule(hours: float, limit: float) -> RuleResult:
    return plain_rule(
        "processor time",
        passed=hours <= limit,
        observed=f"{hours:.3g} processor hours forecast",
        threshold=f"at most {limit:g}",
        sentence=f"The pilot is expected to take {hours:.3g} of the {limit:g} processor hours allowed.",
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
