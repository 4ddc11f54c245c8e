"""The nine gates: each a pure function from policy and evidence to a decision with its reasons."""

from tasks.decisions.gates.contract import decide_contract
from tasks.decisions.gates.escalation import decide_escalation, issue_permit
from tasks.decisions.gates.fairness import decide_fairness
from tasks.decisions.gates.fit import decide_fit
from tasks.decisions.gates.guardrails import GuardrailEvidence, ServingFacts, TaskScores
from tasks.decisions.gates.justification import decide_justification
from tasks.decisions.gates.need import decide_need
from tasks.decisions.gates.power import decide_power
from tasks.decisions.gates.promotion import decide_promotion
from tasks.decisions.gates.quality import decide_quality
from tasks.decisions.gates.rules import ScoredRows

__all__ = [
    "GuardrailEvidence",
    "ScoredRows",
    "ServingFacts",
    "TaskScores",
    "decide_contract",
    "decide_escalation",
    "decide_fairness",
    "decide_fit",
    "decide_justification",
    "decide_need",
    "decide_power",
    "decide_promotion",
    "decide_quality",
    "issue_permit",
]
