"""The gates as tasks: each writes its decision into the dossier before anybody acts on it."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.decision import Decision
from data_contracts.records.evidence import BaseModelRecord, ScoringEvidence
from data_contracts.records.permit import Permit
from data_contracts.records.snapshot import ContractEvidence, Snapshot
from tasks.decisions.gates import (
    decide_contract,
    decide_escalation,
    decide_justification,
    decide_quality,
    issue_permit,
)
from tasks.evidence.store import Stored
from tasks.stages.artifacts import show_decision
from tasks.stages.context import RunContext
from tasks.stages.scoring import scored_split
from tasks.stages.watching import listener


@task(name="gate contract", cache_policy=NO_CACHE)
def contract_gate(context: RunContext, checked: Stored[ContractEvidence]) -> Decision:
    policy = context.settings.policy
    return _record(context, 1, decide_contract(checked.record, policy=policy, run_id=context.run_id))


@task(name="gate quality", cache_policy=NO_CACHE)
def quality_gate(
    context: RunContext, pilot: Stored[ScoringEvidence], baseline: Stored[ScoringEvidence]
) -> Decision:
    decision = decide_quality(
        scored_split(context, pilot),
        scored_split(context, baseline),
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    return _record(context, 2, decision)


@task(name="gate escalation", cache_policy=NO_CACHE)
def escalation_gate(context: RunContext, quality: Decision) -> Decision:
    policy = context.settings.policy
    return _record(context, 3, decide_escalation(quality, policy=policy, run_id=context.run_id))


@task(name="permit", cache_policy=NO_CACHE)
def permit_full(
    context: RunContext, escalation: Decision, base: BaseModelRecord, snapshot: Stored[Snapshot]
) -> Permit:
    """Raises ``PermitRefusedError`` unless the escalation gate passed."""
    permit = issue_permit(escalation, snapshot=snapshot.record.digest(), base_model=base.identity())
    context.dossier.write_permit(permit)
    return permit


@task(name="gate justification", cache_policy=NO_CACHE)
def justification_gate(
    context: RunContext,
    full: Stored[ScoringEvidence],
    pilot: Stored[ScoringEvidence],
    baseline: Stored[ScoringEvidence],
) -> Decision:
    decision = decide_justification(
        scored_split(context, full),
        scored_split(context, pilot),
        scored_split(context, baseline),
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    return _record(context, 4, decision)


def _record(context: RunContext, number: int, decision: Decision) -> Decision:
    context.dossier.write_decision(number, decision)
    show_decision(decision)
    listener().decided(decision)
    return decision
