"""The contract gate: may this data be learnt from at all?"""

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import ContractEvidence, ContractRule
from tasks.decisions.gates.rules import all_of


def decide_contract(evidence: ContractEvidence, *, policy: Policy, run_id: str) -> Decision:
    """Passes when every blocking rule of the data contract holds, and no quarantine is beyond its share."""
    rules = tuple(_contract_rule(rule) for rule in evidence.rules)
    broken = [rule.name for rule in rules if rule.verdict is Verdict.FAIL]
    sentence = (
        f"The data breaks {len(broken)} blocking rules of {evidence.contract_name}: {', '.join(broken)}."
        if broken
        else f"{evidence.rows_accepted:,} of {evidence.rows_read:,} rows satisfy {evidence.contract_name}."
    )
    return Decision(
        gate=Gate.CONTRACT,
        verdict=all_of(rules),
        rules=rules,
        sentence=sentence,
        run_id=run_id,
        policy=policy.digest(),
        evidence=(evidence.digest(),),
    )


def _contract_rule(rule: ContractRule) -> RuleResult:
    note = "" if rule.passed or rule.blocks else f" ({rule.severity.value})"
    return RuleResult(
        name=rule.name,
        observed=rule.observed + note,
        interval=None,
        threshold=rule.expected,
        verdict=Verdict.FAIL if rule.blocks else Verdict.PASS,
        sentence=rule.sentence,
    )
