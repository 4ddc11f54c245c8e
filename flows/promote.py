"""Promotion of what a run accepted, and the way back: thin flows over ``tasks.stages.promoting``."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from data_contracts.records.registry import REASON_LENGTH, PromotionReport, Rollback
from data_contracts.records.settings import Name, RunId
from flows.served import in_served, require_deployed_version
from tasks.audit.rollbacks import roll_back
from tasks.evidence.environment import user_name
from tasks.stages.notifying import (
    blocks_for,
    blocks_of,
    notify,
    promotion_notice,
    rollback_notice,
    tell_fault,
)
from tasks.stages.promoting import find_offered, promote_offered

Run = Annotated[RunId, Field(description="A run id, or the beginning of one.")]
Output = Annotated[Path, Field(description="The folder of dossiers.")]
Reason = Annotated[str, Field(max_length=REASON_LENGTH, description="Why; it is kept for good.")]
By = Annotated[str | None, Field(description="Who asks for it; left out, whoever runs the process.")]


@flow(
    name="promote",
    flow_run_name="promote {run}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def promote(
    run: Run, output: Output = Path("runs"), reason: Reason = "", by: By = None
) -> State[PromotionReport]:
    """Hold what a run accepted against champion and anchor, and make it champion if the gate lets it."""
    require_deployed_version()
    output = in_served(output, "output").resolve()
    offered = find_offered(run, output)
    report = promote_offered(offered, output=output, by=by or user_name(), reason=reason)
    notify(blocks_for(offered.accepted.settings.notifications), promotion_notice(report))
    return Completed(
        name="".join(word.capitalize() for word in report.outcome.value.split("_")),
        message=report.sentence,
        data=report,
    )


@flow(
    name="rollback",
    flow_run_name="rollback {model}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def rollback(
    model: Annotated[Name, Field(description="The settings' `name`.")],
    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH, description="Why; kept for good.")],
    to: Annotated[int | None, Field(ge=1, description="A version; left out, the champion before.")] = None,
    output: Output = Path("runs"),
    by: By = None,
) -> State[Rollback]:
    """Put an earlier champion back in its place, at once."""
    require_deployed_version()
    output = in_served(output, "output").resolve()
    done = roll_back(model, output=output, to=to, by=by or user_name(), reason=reason)
    notify(blocks_of(output, done.run_id), rollback_notice(done))
    message = f"Version {done.version} is champion again; version {done.left_version} is not."
    return Completed(name="RolledBack", message=message, data=done)
