"""Runs that died are found by their silence: an automation of the server marks them.

A worker tells how the processes of its runs ended, but where the worker died too, or with the whole machine,
nobody does: the run would be shown at work, and hold its place in the queue, for ever.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

NAME = "lorafirst: mark runs that died"
SIGN_OF_LIFE_SECONDS = 30
"""How often a run gives one; Prefect's least."""
SILENT_SECONDS = 120
"""After so long a silence a run is taken for dead: four signs of life are missing then."""
_MESSAGE = (
    f"The run's process has given no sign of life for {SILENT_SECONDS} seconds: it has died, or cannot reach "
    "the server. Started again with the same settings it goes on after its last finished stage or checkpoint."
)


async def watch_for_silent_runs(client: "PrefectClient") -> None:
    """Has the server mark such runs as crashed; one that was alive after all still ends as itself."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    asked = AutomationCore(
        name=NAME,
        description="Runs whose process is gone do not stay at work for ever, nor in their queue.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            # States are events by their names, and runs end in states that have the names of outcomes.
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name=None, message=_MESSAGE, force=False)],
    )
    known = await client.read_automations_by_name(NAME)
    if known:
        # Somebody may have switched it off, or made it more patient.
        return
    await client.create_automation(asked)
