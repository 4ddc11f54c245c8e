"""What a decision left undone, and why: the other ways that the run could have gone on."""

from collections.abc import Iterator

from data_contracts.records.bases import FitBasis, Judgement
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.policy import Remedy
from tasks.decisions.forecast import first_that_fits

_LEFT: dict[tuple[Gate, Verdict], tuple[str, ...]] = {
    (Gate.CONTRACT, Verdict.FAIL): ("To train on this data: it breaks its contract.",),
    (Gate.POWER, Verdict.FAIL): ("To train and decide by chance: the gate rows resolve too little.",),
    (Gate.NEED, Verdict.PASS): ("To leave the base as it is: it is not shown to suffice.",),
    (Gate.NEED, Verdict.FAIL): ("To train a pilot: the base suffices.",),
    (Gate.QUALITY, Verdict.PASS): ("Full fine-tuning: the pilot is good enough.",),
    (Gate.QUALITY, Verdict.FAIL): ("To accept the pilot: it is not good enough.",),
    (Gate.QUALITY, Verdict.INCONCLUSIVE): (
        "To accept the pilot: that it is good enough is not shown.",
        "Full fine-tuning: that the pilot falls short is not shown.",
    ),
    (Gate.ESCALATION, Verdict.PASS): ("To end with no model: full fine-tuning is allowed once.",),
    (Gate.ESCALATION, Verdict.INCONCLUSIVE): ("Full fine-tuning: a person's answer is missing.",),
    (Gate.JUSTIFICATION, Verdict.PASS): ("To offer the pilot: full fine-tuning is better by its margin.",),
    (Gate.PROMOTION, Verdict.PASS): ("To keep the champion: the challenger is shown to be no worse.",),
    (Gate.PROMOTION, Verdict.FAIL): ("To promote the challenger: a rule that decides failed.",),
    (Gate.PROMOTION, Verdict.INCONCLUSIVE): ("To promote the challenger: that it is no worse is not shown.",),
}


def alternatives_to(judgement: Judgement) -> tuple[str, ...]:
    """A sentence for each; none where a gate leaves no choice."""
    decision = judgement.decision
    left = _LEFT.get((decision.gate, decision.verdict), ())
    return (*left, *_others(judgement, decision))


def _others(judgement: Judgement, decision: Decision) -> Iterator[str]:
    basis = judgement.basis
    if isinstance(basis, FitBasis):
        chosen = first_that_fits(basis.forecasts, basis.available_memory_bytes)
        why = "it does not fit"
        for forecast in basis.forecasts:
            if forecast is chosen:
                why = f"{chosen.rung} was asked for first and fits"
            else:
                yield f"A pilot by {forecast.rung}: {why}."
    if decision.gate is Gate.FAIRNESS and decision.remedy is not None:
        for remedy in Remedy:
            if remedy not in (decision.remedy, Remedy.FROM_BASE):
                yield f"The remedy {remedy.value}: {decision.remedy.value} comes first, or it is not needed."
    if decision.gate in (Gate.ESCALATION, Gate.JUSTIFICATION) and decision.verdict is Verdict.FAIL:
        refused = "Full fine-tuning" if decision.gate is Gate.ESCALATION else "To keep full fine-tuning"
        for rule in decision.rules:
            if rule.decides and rule.verdict is not Verdict.PASS:
                yield f"{refused}: {rule.name}: {rule.sentence}"
