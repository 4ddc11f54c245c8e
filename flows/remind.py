"""Runs that wait for an answer are brought to mind, and end as denied once it is too late for one."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from data_contracts.errors import InputError, one_line
from data_contracts.records.base import utc_time
from flows.going_on import go_on
from flows.served import in_served, require_deployed_version
from tasks.audit.waiting import WaitingRun, waiting_runs
from tasks.stages.notifying import tell_fault

REMINDER = "lorafirst.approval.reminder"
"""An event for each run that waits; an automation can tell somebody of it."""


@flow(name="remind", persist_result=False, on_failure=[tell_fault], on_crashed=[tell_fault])
def remind(output: Path = Path("runs")) -> int:
    """Remind of runs that wait for approval, and let go on those that need not wait any longer.

    Args:
        output: The folder of dossiers, in the served folder.
    """
    require_deployed_version()
    folder = in_served(output, "output")
    log = get_run_logger()
    waiting = waiting_runs(folder, log.warning)
    rows = []
    for each in waiting:
        run_id = each.request.run_id
        until = "no time is set" if each.expires_at is None else utc_time(each.expires_at)
        if each.answer or each.expired:
            state = f"{'answered' if each.answer else 'expired'}; {_going_on(each)}"
        else:
            emit_event(
                REMINDER,
                resource={"prefect.resource.id": f"lorafirst.run.{run_id}", "lorafirst.run": run_id},
                payload={"asked_for_by": each.request.requested_by, "denied_unless_answered_by": until},
            )
            state = "waits"
        log.info("%s: %s, denied unless answered by %s", run_id, state, until)
        rows.append({"run": run_id, "until": until, "state": state})
    if rows:
        create_table_artifact(rows, key="waiting", description="Runs that wait for approval")
    return len(rows)


def _going_on(waiting: WaitingRun) -> str:
    # As `approve` starts it, so that both together start one.
    because = waiting.answer or "expired"
    try:
        return f"goes on as {go_on(waiting.request, because=because).name}"
    except InputError as error:
        return f"cannot go on: {one_line(error)}"
