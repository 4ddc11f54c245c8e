"""Runs that wait for an answer are brought to mind, and end as denied once it is too late for one."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from data_contracts.records.base import utc_time
from flows.going_on import go_on
from flows.served import in_served, require_deployed_version
from tasks.audit.waiting import waiting_runs

REMINDER = "lorafirst.approval.reminder"
"""An event for each run that waits; an automation can tell somebody of it."""


@flow(name="remind", persist_result=False)
def remind(output: Path = Path("runs")) -> int:
    """Remind of runs that wait for approval, and let go on those that need not wait any longer.

    Args:
        output: The folder of dossiers, in the served folder.
    """
    require_deployed_version()
    waiting = waiting_runs(in_served(output, "output"))
    rows = []
    for each in waiting:
        run_id = each.request.run_id
        until = "no time is set" if each.expires_at is None else utc_time(each.expires_at)
        if each.answered or each.expired:
            started = go_on(each.request, because="answered" if each.answered else "expired")
            state = f"{'answered' if each.answered else 'expired'}; goes on as {started.name}"
        else:
            emit_event(
                REMINDER,
                resource={"prefect.resource.id": f"lorafirst.run.{run_id}", "lorafirst.run": run_id},
                payload={"asked_for_by": each.request.requested_by, "denied_unless_answered_by": until},
            )
            state = "waits"
        get_run_logger().info("%s: %s, denied unless answered by %s", run_id, state, until)
        rows.append({"run": run_id, "until": until, "state": state})
    if rows:
        create_table_artifact(rows, key="waiting", description="Runs that wait for approval")
    return len(rows)
