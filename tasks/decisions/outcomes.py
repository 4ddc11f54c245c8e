"""Which named outcome the decisions of a run amount to, and what to do next."""

from collections.abc import Sequence

from data_contracts.records.base import Record
from data_contracts.records.decision import Decision, Gate, Outcome, Verdict
from tasks.decisions.gates import LEVEL, LEVEL_OF_BASELINE, UPLIFT


class Ending(Record):
    """The end of a run."""

    outcome: Outcome
    sentence: str
    """What it means and what to do next."""


def conclude(decisions: Sequence[Decision]) -> Ending:
    """The outcome of a run whose decisions, in order, are ``decisions``.

    Raises:
        ValueError: they do not end a run; an escalation that passed must be followed by justification.
    """
    by_gate = {decision.gate: decision for decision in decisions}
    if len(by_gate) != len(decisions):
        raise ValueError("a gate decided twice")
    contract, quality = by_gate.get(Gate.CONTRACT), by_gate.get(Gate.QUALITY)
    escalation, justification = by_gate.get(Gate.ESCALATION), by_gate.get(Gate.JUSTIFICATION)
    if contract is None:
        raise ValueError("no contract decision: the run has not begun")
    if contract.verdict is not Verdict.PASS:
        return _end(Outcome.DATA_REJECTED, "Mend the rows listed, or change the contract, and run again.")
    if quality is None:
        raise ValueError("no quality decision: the run has not ended")
    if quality.verdict is Verdict.PASS:
        return _end(
            Outcome.PILOT_ACCEPTED, "The pilot is good enough; no full fine-tuning is needed or allowed."
        )
    if escalation is None:
        raise ValueError("no escalation decision: the run has not ended")
    if escalation.verdict is not Verdict.PASS:
        return _without_escalation(quality)
    if justification is None:
        raise ValueError("escalation passed, and full fine-tuning has not been judged")
    if justification.verdict is Verdict.PASS:
        return _end(
            Outcome.FULL_ACCEPTED,
            "The pilot was demonstrably short; full fine-tuning reached the target and is kept.",
        )
    return _end(
        Outcome.FULL_UNJUSTIFIED,
        "Full fine-tuning did not bring what was needed. Look at the data or the target first.",
    )


def _without_escalation(quality: Decision) -> Ending:
    verdicts = {rule.name: rule.verdict for rule in quality.rules}
    if verdicts[LEVEL] is Verdict.PASS:
        if verdicts[UPLIFT] is Verdict.FAIL and verdicts[LEVEL_OF_BASELINE] is Verdict.PASS:
            return _end(
                Outcome.BASE_SUFFICES,
                "The baseline is at the target, and training adds less than the policy's minimum: use the "
                "baseline.",
            )
        return _end(
            Outcome.INCONCLUSIVE,
            "The pilot is at the target, but its uplift over the baseline is not shown: add rows to the "
            "gate set, or ask for less uplift.",
        )
    return _end(
        Outcome.INCONCLUSIVE,
        "The gate set is too small for this target and margin: add rows to it, or widen the margin.",
    )


def _end(outcome: Outcome, sentence: str) -> Ending:
    return Ending(outcome=outcome, sentence=sentence)
