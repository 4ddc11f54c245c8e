"""Full fine-tuning with its permit, and what a run offers in the end."""

from dataclasses import replace

from data_contracts.records.decision import Outcome
from tasks.decisions.gates.guardrails import harmed
from tasks.stages.context import RunContext
from tasks.stages.elsewhere import train_elsewhere
from tasks.stages.findings import Findings
from tasks.stages.permits import redeem_here
from tasks.stages.pilots import best_trainings, full_rate
from tasks.stages.training import full_work, train_full


def train_permitted(context: RunContext, findings: Findings) -> None:
    """Full fine-tuning under the dossier's permit, from as many seeds as what is accepted needs."""
    settings = context.settings
    rate = full_rate(settings, findings.base.width)
    pilot = best_trainings(context, findings)[0]
    if settings.compute.full_on is not None:
        # All of them before any is asked for: whatever else is asked of the other pool is then refused there.
        for seed in settings.permitted_seeds:
            work = full_work(context, findings, pilot=pilot, learning_rate=rate, seed=seed)
            redeem_here(context, work)
    for seed in settings.permitted_seeds:
        if settings.compute.full_on is not None:
            train_elsewhere(context, findings, pilot=pilot, learning_rate=rate, seed=seed)
        findings.full.append(train_full(context, findings, pilot=pilot, learning_rate=rate, seed=seed))
    findings.history = replace(findings.history, full_trained=True)


def accepted_artifact(context: RunContext, findings: Findings, outcome: Outcome) -> str | None:
    """The dossier's folder of what is offered: that of the settings' own seed, not of the luckiest one."""
    best_effort = context.settings.policy.escalation.best_effort
    match outcome:
        case Outcome.PILOT_ACCEPTED:
            offered = best_trainings(context, findings)[0]
        case Outcome.FULL_ACCEPTED:
            offered = findings.full[0]
        case Outcome.FULL_UNJUSTIFIED if best_effort and not harmed(findings.history.decisions[-1].rules):
            offered = findings.full[0]
        case _:
            return None
    return f"{offered.folder}/{offered.stored.record.served}"
