"""The gates as tasks: each writes its decision into the dossier before anybody acts on it."""

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.decision import Decision, Gate
from data_contracts.records.metrics import Task
from data_contracts.records.permit import Permit
from data_contracts.records.rungs import Rung
from data_contracts.records.snapshot import Split
from tasks.decisions.forecast import (
    Forecast,
    ModelShape,
    adapter_parameters,
    first_that_fits,
    forecast_memory,
    hours_of_full,
)
from tasks.decisions.gates import (
    EscalationFacts,
    decide_contract,
    decide_escalation,
    decide_fairness,
    decide_fit,
    decide_justification,
    decide_need,
    decide_power,
    decide_quality,
    issue_permit,
)
from tasks.decisions.gates.escalation import subject_of
from tasks.decisions.ladder import demands_fairness
from tasks.decisions.remedies import best_trial
from tasks.evidence.approvals import read_approval
from tasks.stages.artifacts import show_decision
from tasks.stages.base import score_base
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.guardrails import guardrail_evidence
from tasks.stages.looks import reserve_look
from tasks.stages.pilots import best_trainings
from tasks.stages.scoring import score_all, scored_rows
from tasks.stages.watching import listener


@task(name="gate contract", cache_policy=NO_CACHE)
def contract_gate(context: RunContext, findings: Findings) -> None:
    assert findings.checked is not None
    policy = context.settings.policy
    _record(context, findings, decide_contract(findings.checked.record, policy=policy, run_id=context.run_id))


@task(name="gate power", cache_policy=NO_CACHE)
def power_gate(context: RunContext, findings: Findings) -> None:
    assert findings.registration is not None
    decision = decide_power(findings.registration, policy=context.settings.policy, run_id=context.run_id)
    _record(context, findings, decision)


@task(name="gate need", cache_policy=NO_CACHE)
def need_gate(context: RunContext, findings: Findings) -> None:
    assert findings.registration is not None
    policy = context.settings.policy
    reserve_look(context, findings, Split.GATE)
    base = score_base(context, findings, Split.GATE)
    decision = decide_need(
        scored_rows(policy.metric, [base], name=_base_name(findings)),
        distance=findings.distance,
        policy=policy,
        run_id=context.run_id,
        alpha=_alpha(findings, Split.GATE),
        registration=findings.registration.digest(),
    )
    _record(context, findings, decision)


@task(name="gate fit", cache_policy=NO_CACHE)
def fit_gate(context: RunContext, findings: Findings) -> None:
    """Decides, and settles which method the first pilot takes."""
    asked = context.settings.pilot.method
    available = context.memory_bytes
    methods = [asked] if asked == Rung.QLORA else [asked, Rung.QLORA]
    forecasts = [_forecast(context, findings, method) for method in methods]
    decision = decide_fit(
        forecasts,
        available_memory_bytes=available,
        evidence=findings.base.digest(),
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    chosen = first_that_fits(forecasts, available)
    if chosen is not None:
        findings.method = chosen.rung
    unquantised = _forecast(context, findings, Rung.LORA)
    findings.unquantised_fits = first_that_fits([unquantised], available) is not None
    _record(context, findings, decision)


@task(name="gate fairness", cache_policy=NO_CACHE)
def fairness_gate(context: RunContext, findings: Findings) -> None:
    decision = decide_fairness(
        findings.trials,
        findings.sweep,
        unquantised_fits=findings.unquantised_fits,
        must_be_fair=demands_fairness(findings.history),
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    history = findings.history
    findings.history = replace(history, judged_pilot_steps=history.pilot_steps)
    _record(context, findings, decision)


@task(name="gate quality", cache_policy=NO_CACHE)
def quality_gate(context: RunContext, findings: Findings, split: Split) -> None:
    """One look: every seed of the best pilot, and the base, on the rows of ``split``."""
    assert findings.registration is not None
    reserve_look(context, findings, split)
    policy = context.settings.policy
    trainings = best_trainings(context, findings)
    pilot = score_all(context, findings, trainings, split)
    base = score_base(context, findings, split)
    decision = decide_quality(
        scored_rows(policy.metric, pilot),
        scored_rows(policy.metric, [base], name=_base_name(findings)),
        policy=policy,
        run_id=context.run_id,
        alpha=_alpha(findings, split),
        look=split,
        guardrails=guardrail_evidence(context, findings, trainings, split),
        registration=findings.registration.digest(),
    )
    _record(context, findings, decision)


@task(name="gate escalation", cache_policy=NO_CACHE)
def escalation_gate(context: RunContext, findings: Findings) -> None:
    assert findings.snapshot is not None
    quality, fairness = (findings.history.last(gate) for gate in (Gate.QUALITY, Gate.FAIRNESS))
    assert quality is not None and fairness is not None
    policy = context.settings.policy
    best = best_trial(findings.trials, policy)
    evidence = best_trainings(context, findings)[0].stored.record
    facts = EscalationFacts(
        train_rows=findings.snapshot.record.split(Split.TRAIN).rows,
        processor_hours_spent=findings.processor_seconds / 3600.0,
        processor_hours_of_full=policy.seeds.to_pass
        * hours_of_full(evidence.cost.cpu_seconds, evidence.steps, best.full_steps),
        peak_memory_bytes_of_full=_forecast(context, findings, Rung.FULL).peak_memory_bytes,
        available_memory_bytes=context.memory_bytes,
        approval=read_approval(context.settings.output, subject_of(quality)),
        distance=findings.distance,
    )
    decision = decide_escalation(quality, fairness, facts, policy=policy, run_id=context.run_id)
    _record(context, findings, decision)


@task(name="permit", cache_policy=NO_CACHE)
def permit_full(context: RunContext, findings: Findings) -> Permit:
    """Raises ``PermitRefusedError`` unless the escalation gate passed."""
    assert findings.snapshot is not None
    escalation = findings.history.last(Gate.ESCALATION)
    assert escalation is not None
    permit = issue_permit(
        escalation,
        snapshot=findings.snapshot.record.digest(),
        base_model=findings.base.identity(),
        rung=context.settings.full.method,
    )
    context.dossier.write_permit(permit)
    return permit


@task(name="gate justification", cache_policy=NO_CACHE)
def justification_gate(context: RunContext, findings: Findings) -> None:
    """On the rows on which the pilot was shown short."""
    assert findings.registration is not None
    policy = context.settings.policy
    split = findings.history.looks[-1].look
    assert split is not None
    # Paired seed by seed: full has as many as anything that is accepted needs, the pilot perhaps more.
    pilots = best_trainings(context, findings)[: len(findings.full)]
    decision = decide_justification(
        scored_rows(policy.metric, score_all(context, findings, findings.full, split)),
        scored_rows(policy.metric, score_all(context, findings, pilots, split)),
        scored_rows(policy.metric, [score_base(context, findings, split)], name=_base_name(findings)),
        policy=policy,
        run_id=context.run_id,
        alpha=_alpha(findings, split),
        look=split,
        guardrails=guardrail_evidence(context, findings, findings.full, split),
        registration=findings.registration.digest(),
    )
    _record(context, findings, decision)


def _record(context: RunContext, findings: Findings, decision: Decision) -> None:
    findings.history = findings.history.with_decision(decision)
    context.dossier.write_decision(len(findings.history.decisions), decision)
    show_decision(decision)
    listener().decided(decision)


def _alpha(findings: Findings, split: Split) -> float:
    assert findings.registration is not None
    return next(look.alpha for look in findings.registration.looks if look.split is split)


def _base_name(findings: Findings) -> str:
    if findings.probe is not None:
        return "a linear probe on the untrained base"
    if findings.snapshot is not None and findings.snapshot.record.task is Task.COMPLETION:
        return "the bare base"
    count = findings.examples_in_prompt
    return f"the base asked with {count} examples" if count else "the base asked with the prompt alone"


def _forecast(context: RunContext, findings: Findings, rung: Rung) -> Forecast:
    settings, base = context.settings, findings.base
    shape = ModelShape(
        parameters=base.parameters,
        layers=base.layers,
        width=base.width,
        vocabulary=0 if settings.task is Task.CLASSIFICATION else base.vocabulary,
    )
    return forecast_memory(
        rung,
        shape,
        trained_parameters=adapter_parameters(shape, settings.pilot.rank),
        rows=settings.training.rows_in_memory,
        tokens=settings.model.max_tokens,
    )
