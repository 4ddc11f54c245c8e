"""Retraining: new data beside the champion's, a reason to train or to skip, the ladder, and promotion."""

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from data_contracts.records.decision import Outcome, RunReport
from data_contracts.records.registry import REASON_LENGTH, PromotionOutcome, PromotionReport
from data_contracts.records.retraining import (
    DataFindings,
    RetrainingOutcome,
    RetrainingPlan,
    RetrainingReport,
)
from data_contracts.records.settings import RunSettings
from flows.finetune import finetune
from flows.promote import promote
from flows.served import as_served
from tasks.decisions.retraining import NO_CHAMPION, plan_retraining
from tasks.evidence.files import require_writable
from tasks.registry.locking import retraining
from tasks.stages.drifting import begun_at, beside, champion_in, examine_data
from tasks.stages.notifying import tell_fault
from tasks.stages.watching import listener

Why = Annotated[
    str,
    Field(max_length=REASON_LENGTH, description="What gave the occasion; it is kept with the version."),
]


@flow(
    name="retrain",
    flow_run_name="retrain {settings.name}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def retrain(settings: RunSettings, occasion: Why = "") -> State[RetrainingReport]:
    """Train a model anew where its data give a reason, and let the promotion gate decide about it.

    Two retrainings of one model never run at once: the second is refused. One that was killed goes on with
    the same settings.
    """
    settings = as_served(settings)
    output = settings.output.resolve()
    require_writable(output)
    settings = settings.model_copy(update={"output": output})
    with retraining(output, settings.name):
        report = retrain_once(settings, occasion)
    return Completed(
        name="".join(word.capitalize() for word in report.outcome.value.split("_")),
        message=report.sentence,
        data=report,
    )


_UNACCEPTED = {
    Outcome.DATA_REJECTED: RetrainingOutcome.DATA_REJECTED,
    Outcome.AWAITING_APPROVAL: RetrainingOutcome.AWAITING_APPROVAL,
}
"""Ends of a run without a model that are ends of their own for a retraining."""


def retrain_once(settings: RunSettings, occasion: str) -> RetrainingReport:
    """What ``retrain`` does once nobody else retrains the model."""
    champion = champion_in(settings.output, settings.name)
    findings: DataFindings | None = None
    plan = RetrainingPlan(train=True, reasons=(NO_CHAMPION,))
    if champion is not None:
        findings = examine_data(settings, champion, always_score=False)
        plan = plan_retraining(findings, minimum_new_share=settings.retrain.minimum_new_share)
        settings = begun_at(beside(settings, champion), champion)
    if not plan.train:
        return _report(settings, RetrainingOutcome.SKIPPED, plan, findings)
    for reason in plan.reasons:
        listener().noted(reason)
    run: RunReport = finetune(settings)  # type: ignore[assignment]  # Prefect hands out what the state carries
    if run.accepted_artifact is None:
        return _report(
            settings, _UNACCEPTED.get(run.outcome, RetrainingOutcome.NOT_ACCEPTED), plan, findings, run
        )
    reason = reason_of(occasion, plan)
    promotion: PromotionReport = promote(  # type: ignore[assignment]
        run.run_id, output=settings.output, reason=reason, by=None
    )
    promoted = promotion.outcome is PromotionOutcome.PROMOTED
    ended = RetrainingOutcome.PROMOTED if promoted else RetrainingOutcome.CHAMPION_KEPT
    return _report(settings, ended, plan, findings, run, promotion)


def reason_of(occasion: str, plan: RetrainingPlan) -> str:
    """What is kept with the version; cut where a plan has many reasons, all of which stand in ``drift/``."""
    whole = " ".join(filter(None, (occasion, *plan.reasons)))
    return whole if len(whole) <= REASON_LENGTH else f"{whole[: REASON_LENGTH - 1]}…"


def _report(
    settings: RunSettings,
    outcome: RetrainingOutcome,
    plan: RetrainingPlan,
    findings: DataFindings | None,
    run: RunReport | None = None,
    promotion: PromotionReport | None = None,
) -> RetrainingReport:
    return RetrainingReport(
        model=settings.name,
        outcome=outcome,
        plan=plan,
        findings=findings,
        run=run,
        promotion=promotion,
    )
