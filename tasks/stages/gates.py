"""The gates as tasks: each writes its decision into dossier and ledger before anybody acts on it.

Each gathers a basis, and is decided on it by ``tasks.audit.deciding`` from the dossier, as anybody can do
again.
"""

import json
from dataclasses import replace
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.bases import (
    Basis,
    ContractBasis,
    EscalationBasis,
    EscalationFacts,
    FairnessBasis,
    FitBasis,
    Judgement,
    JustificationBasis,
    NeedBasis,
    PowerBasis,
    QualityBasis,
    ScoredBasis,
)
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.evidence import ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.permit import Permit
from data_contracts.records.rungs import Rung
from data_contracts.records.snapshot import Split
from tasks.audit.cited import CitedEvidence
from tasks.audit.deciding import decide
from tasks.data.checking.contract import ACCEPTED
from tasks.decisions.forecast import first_that_fits, what_would_fit
from tasks.decisions.ladder import demands_fairness
from tasks.decisions.remedies import best_trial
from tasks.evidence.store import Stored
from tasks.stages.answers import answer_to
from tasks.stages.artifacts import show_decision
from tasks.stages.base import score_base
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.forecasting import (
    Job,
    escalated_method,
    hours_of_full,
    job_of,
    longest_row,
    pilot_candidates,
    pilot_method,
)
from tasks.stages.guardrails import guardrail_basis
from tasks.stages.looks import reserve_look
from tasks.stages.permits import issue
from tasks.stages.pilots import best_trainings
from tasks.stages.recording import record_decision, record_question
from tasks.stages.scoring import readable, score_all
from tasks.stages.watching import listener


@task(name="gate contract", cache_policy=NO_CACHE)
def contract_gate(context: RunContext, findings: Findings) -> None:
    assert findings.checked is not None
    _judge(context, findings, ContractBasis(contract=findings.checked.record.digest()))


@task(name="gate power", cache_policy=NO_CACHE)
def power_gate(context: RunContext, findings: Findings) -> None:
    assert findings.registration is not None
    _judge(context, findings, PowerBasis(registration=findings.registration.digest()))


@task(name="gate need", cache_policy=NO_CACHE)
def need_gate(context: RunContext, findings: Findings) -> None:
    assert findings.registration is not None
    reserve_look(context, findings, Split.GATE)
    basis = NeedBasis(
        base=_base(context, findings, Split.GATE),
        distance=_distance(findings),
        registration=findings.registration.digest(),
    )
    _judge(context, findings, basis)


@task(name="gate fit", cache_policy=NO_CACHE)
def fit_gate(context: RunContext, findings: Findings) -> None:
    """Decides, and settles which method the first pilot takes."""
    available = context.memory_bytes
    job = _job(context, findings)
    methods = pilot_candidates(context.settings)
    forecasts = [job.of(method) for method in methods]
    basis = FitBasis(
        forecasts=tuple(forecasts),
        available_memory_bytes=available,
        changes=tuple(what_would_fit(job.shape, methods[0], job.batch, job.system, available)),
        base_model=findings.base.digest(),
    )
    chosen = first_that_fits(forecasts, available)
    if chosen is not None:
        # A rung of an installed package is forecast as another, and trained as itself.
        findings.method = context.settings.pilot.method if chosen is forecasts[0] else Rung(chosen.rung)
    unquantised = job.of(pilot_method(context.settings, Rung.LORA))
    findings.unquantised_fits = first_that_fits([unquantised], available) is not None
    _judge(context, findings, basis)


@task(name="gate fairness", cache_policy=NO_CACHE)
def fairness_gate(context: RunContext, findings: Findings) -> None:
    history = findings.history
    basis = FairnessBasis(
        trials=tuple(findings.trials),
        sweep=tuple(findings.sweep),
        unquantised_fits=findings.unquantised_fits,
        must_be_fair=demands_fairness(history),
    )
    findings.history = replace(history, judged_pilot_steps=history.pilot_steps)
    _judge(context, findings, basis)


@task(name="gate quality", cache_policy=NO_CACHE)
def quality_gate(context: RunContext, findings: Findings, split: Split) -> None:
    """One look: every seed of the best pilot, and the base, on the rows of ``split``."""
    assert findings.registration is not None
    reserve_look(context, findings, split)
    trainings = best_trainings(context, findings)
    basis = QualityBasis(
        pilot=_trained(score_all(context, findings, trainings, split)),
        baseline=_base(context, findings, split),
        look=split,
        guardrails=guardrail_basis(context, findings, trainings, split),
        registration=findings.registration.digest(),
    )
    _judge(context, findings, basis)


@task(name="gate escalation", cache_policy=NO_CACHE)
def escalation_gate(context: RunContext, findings: Findings) -> None:
    assert findings.snapshot is not None
    quality, fairness = (findings.history.last(gate) for gate in (Gate.QUALITY, Gate.FAIRNESS))
    assert quality is not None and fairness is not None
    settings, policy = context.settings, context.settings.policy
    best = best_trial(findings.trials, policy)
    evidence = best_trainings(context, findings)[0].stored.record
    job = _job(context, findings)
    asked = answer_to(context, quality)
    facts = EscalationFacts(
        train_rows=findings.snapshot.record.split(Split.TRAIN).rows,
        processor_hours_spent=findings.processor_seconds / 3600.0,
        processor_hours_of_full=policy.seeds.to_pass
        * hours_of_full(job, settings, best.settings, evidence, steps=best.full_steps),
        peak_memory_bytes_of_full=job.of(escalated_method(settings)).needed_memory_bytes,
        available_memory_bytes=context.memory_bytes,
        requested_by=context.dossier.request().requested_by,
        approval=asked.answer.approval,
        signed_by=asked.answer.signed_by,
        unusable=asked.answer.unusable,
        asked_at=asked.at,
        waited_days=asked.waited_days,
    )
    basis = EscalationBasis(
        quality=quality.digest(), fairness=fairness.digest(), facts=facts, distance=_distance(findings)
    )
    if _judge(context, findings, basis).verdict is Verdict.INCONCLUSIVE:
        record_question(context, quality)


@task(name="permit", cache_policy=NO_CACHE)
def permit_full(context: RunContext, findings: Findings) -> Permit:
    """Raises ``PermitRefusedError`` unless the escalation gate passed."""
    return issue(context, findings)


@task(name="gate justification", cache_policy=NO_CACHE)
def justification_gate(context: RunContext, findings: Findings) -> None:
    """On the rows on which the pilot was shown short."""
    assert findings.registration is not None
    split = findings.history.looks[-1].look
    assert split is not None
    # Paired seed by seed: full has as many as anything that is accepted needs, the pilot perhaps more.
    pilots = best_trainings(context, findings)[: len(findings.full)]
    basis = JustificationBasis(
        full=_trained(score_all(context, findings, findings.full, split)),
        pilot=_trained(score_all(context, findings, pilots, split)),
        baseline=_base(context, findings, split),
        look=split,
        guardrails=guardrail_basis(context, findings, findings.full, split),
        registration=findings.registration.digest(),
    )
    _judge(context, findings, basis)


def _judge(context: RunContext, findings: Findings, basis: Basis) -> Decision:
    decision = decide(
        basis,
        cited=CitedEvidence(context.dossier.folder),
        decisions=findings.history.decisions,
        registration=findings.registration,
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    findings.history = findings.history.with_decision(decision)
    judgement = Judgement(decision=decision, basis=basis)
    record_decision(context, findings, judgement, len(findings.history.decisions))
    show_decision(decision)
    listener().decided(decision)
    return decision


def _trained(scored: tuple[Stored[ScoringEvidence], ...]) -> ScoredBasis:
    return ScoredBasis(
        name=readable(scored[0].record.rung), evidence=tuple(each.record.digest() for each in scored)
    )


def _base(context: RunContext, findings: Findings, split: Split) -> ScoredBasis:
    scored = score_base(context, findings, split)
    return ScoredBasis(name=_base_name(findings), evidence=(scored.record.digest(),))


def _distance(findings: Findings) -> str | None:
    return None if findings.distance is None else findings.distance.digest()


def _base_name(findings: Findings) -> str:
    if findings.probe is not None:
        return "a linear probe on the untrained base"
    if findings.snapshot is not None and findings.snapshot.record.task is Task.COMPLETION:
        return "the bare base"
    count = findings.examples_in_prompt
    return f"the base asked with {count} examples" if count else "the base asked with the prompt alone"


def _job(context: RunContext, findings: Findings) -> Job:
    """What is to be trained, with rows as long as they really are."""
    assert findings.checked is not None and findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    config = json.loads((Path(base.folder) / "config.json").read_text(encoding="utf-8"))
    limit = context.settings.model.max_tokens
    longest = {
        split: longest_row(findings.checked.folder / ACCEPTED, split, limit)
        for split in (Split.TRAIN, Split.TUNE)
    }
    return job_of(
        context.settings,
        config,
        labels=len(snapshot.record.labels),
        longest=longest[Split.TRAIN],
        longest_tune=longest[Split.TUNE],
    )
