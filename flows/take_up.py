"""Runs that died go on by themselves: whoever started them need not be there."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import emit_event
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import deployment

from data_contracts.records.base import utc_time
from data_contracts.records.taking_up import Action, TakingUp
from flows.crashed_runs import GIVEN_UP, Found, find_crashed, go_on_with, mark_never_begun, see_to
from flows.served import require_deployed_version
from tasks.decisions.taking_up import decide_taking_up
from tasks.stages.notifying import Notice, blocks_for, named_by, notify, tell_fault

GAVE_UP = "lorafirst.run.given-up"
"""An event for each run that has died too often; an automation can tell somebody of it."""


@flow(name="take-up", persist_result=False, on_failure=[tell_fault], on_crashed=[tell_fault])
def take_up() -> int:
    """Have runs that died in the last days go on, unless somebody has seen to them; say how many do.

    Each one at most twice in a row. Runs that failed or were cancelled are left as they are. While this
    deployment is paused nothing is done.
    """
    require_deployed_version()
    log = get_run_logger()
    with get_client(sync_client=True) as client:
        if _is_paused(client):
            log.info("The deployment is paused: nothing is taken up.")
            return 0
        mark_never_begun(client)
        rows = []
        for found in find_crashed(client):
            decided = decide_taking_up(found.crashed, found.others, now=utc_time(datetime.now(UTC)))
            log.info("%s: %s", found.flow_run.name, decided.sentence)
            goes_on_as = _act(client, found, decided)
            rows.append(
                {"run": found.flow_run.name, "why": decided.sentence, "goes on as": goes_on_as or "-"}
            )
    if rows:
        create_table_artifact(rows, key="taken-up", description="Runs that died, and what is done about them")
    return sum(row["goes on as"] != "-" for row in rows)


def _is_paused(client: SyncPrefectClient) -> bool:
    own = deployment.id
    return own is not None and client.read_deployment(own).paused


def _act(client: SyncPrefectClient, found: Found, decided: TakingUp) -> str | None:
    """Does what was decided; the name of the flow run that goes on, where one does."""
    died = found.flow_run
    match decided.action:
        case Action.TAKE_UP:
            try:
                return go_on_with(client, died, decided.times).name
            except PrefectHTTPStatusError as error:
                # Such as a form that has other fields by now; the others are not to wait for it.
                get_run_logger().warning("%s cannot go on: %s", died.name, error)
        case Action.GIVE_UP:
            see_to(client, died, GIVEN_UP)
            _tell(found, decided.sentence)
        case Action.LEAVE | Action.WAIT:
            pass
    return None


def _tell(found: Found, sentence: str) -> None:
    died = found.flow_run
    get_run_logger().warning("%s is given up: %s", died.name, sentence)
    emit_event(
        GAVE_UP,
        resource={"prefect.resource.id": f"lorafirst.flow-run.{died.id}", "prefect.resource.name": died.name},
        payload={"flow_run": str(died.id), "why": sentence},
    )
    notify(
        blocks_for(named_by(died.parameters.get("settings"))),
        Notice(f"{died.name}: given up", f"{sentence}\nFlow run {died.name}"),
    )
