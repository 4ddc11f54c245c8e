"""What an outcome means to somebody who reads nothing else, and what to do next."""

from collections.abc import Sequence

from data_contracts.records.decision import Decision, Gate, Outcome, Verdict
from tasks.decisions.gates.rules import LEVEL

_SENTENCES = {
    Outcome.DATA_REJECTED: "Mend the rows listed, or change the contract, and run again.",
    Outcome.UNDERPOWERED: (
        "The gate rows cannot decide this: the power gate says why and what would. Nothing was trained."
    ),
    Outcome.BASE_SUFFICES: "The base is at the target already: use it as it is. Nothing was trained.",
    Outcome.INFEASIBLE: "No pilot fits this machine; the fit gate says what would.",
    Outcome.PILOT_INVALID: (
        "The pilot was not a fair test and the remedies are spent: the fairness gate says what is missing. "
        "Nothing about LoRA is proved, so full fine-tuning is not considered."
    ),
    Outcome.UNSAFE: "The pilot harms what a guardrail protects; harm never leads to full fine-tuning.",
    Outcome.PILOT_ACCEPTED: "The pilot is good enough; no full fine-tuning is needed or allowed.",
    Outcome.AWAITING_APPROVAL: (
        "The evidence asks for full fine-tuning; a person must allow or deny it (`lorafirst approve`, "
        "`lorafirst deny`), and the same command then goes on."
    ),
    Outcome.ESCALATION_DENIED: (
        "The pilot is short, and full fine-tuning is not allowed: the escalation gate says why."
    ),
    Outcome.FULL_ACCEPTED: (
        "The pilot was demonstrably short; full fine-tuning reached the target and is kept."
    ),
    Outcome.FULL_UNJUSTIFIED: (
        "Full fine-tuning did not bring what was needed. Look at the data or the target first."
    ),
}


def explain_outcome(outcome: Outcome, decisions: Sequence[Decision]) -> str:
    """One or two sentences for ``outcome``, which the decisions of its run have led to."""
    if outcome is Outcome.INCONCLUSIVE:
        return _inconclusive([decision for decision in decisions if decision.gate is Gate.QUALITY])
    return _SENTENCES[outcome]


def _inconclusive(looks: Sequence[Decision]) -> str:
    level = next(rule for rule in looks[-1].rules if rule.name == LEVEL)
    if level.verdict is Verdict.PASS and looks[-1].verdict is Verdict.FAIL:
        return (
            "The pilot is at the target and gains less over the baseline than the policy asks: use the "
            "baseline, or ask for less uplift."
        )
    if level.verdict is Verdict.PASS:
        return (
            "The pilot is at the target, but its uplift over the baseline or a guardrail is not shown: add "
            "gate rows, or ask for less."
        )
    if level.verdict is Verdict.FAIL:
        return (
            "The pilot came out short, but not over as many seeds and as fairly as escalation asks, and no "
            "look is left to show it: new gate rows (splits.rotation), with a reserve, allow another run."
        )
    return "The gate rows are too few for this target and margin: add rows to them, or widen the margin."
