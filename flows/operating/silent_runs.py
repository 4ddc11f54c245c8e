"""Runs that died are found by their silence: automations of the server mark them.

A worker tells how the processes of its runs ended, but where the worker died too, or with the whole machine,
nobody does: the run would be shown at work, and hold its place in the queue, for ever. So would one whose
worker died between claiming it and starting its process: workers ask only for runs that nobody has claimed.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

NAME = "lorafirst: mark runs that died"
SIGN_OF_LIFE_SECONDS = 30
"""How often a run gives one; Prefect's least. The first one is given as it begins."""
SILENT_SECONDS = 120
"""After so long a silence a run is taken for dead: four signs of life are missing then."""
_SILENT = (
    f"The run's process has given no sign of life for {SILENT_SECONDS} seconds: it has died, or cannot reach "
    "the server. Started again with the same settings it goes on after its last finished stage or checkpoint."
)

UNBEGUN_NAME = "lorafirst: mark runs that never began"
UNBEGUN_SECONDS = 300
"""From the claim to the first sign of life; where a machine is busy a process imports for a minute."""
UNBEGUN = (
    f"The run's process has given no sign of life {UNBEGUN_SECONDS} seconds after a worker claimed the run: "
    "the worker died before it started it, or it died as it began."
)
_CLAIMED = ("Pending", "Submitting", "Running")
"""States between a worker's claim and the first sign of life. Whoever waits for a place has none of them."""
_TAG = "lorafirst"
"""Of the deployments; runs of others may be claimed for as long as they like."""


async def watch_for_silent_runs(client: "PrefectClient") -> None:
    """Has the server mark such runs as crashed; one that was alive after all still ends as itself."""
    await _watch(
        client,
        NAME,
        "Runs whose process is gone do not stay at work for ever, nor in their queue.",
        after={"prefect.flow-run.heartbeat"},
        related={},
        seconds=SILENT_SECONDS,
        message=_SILENT,
    )
    await _watch(
        client,
        UNBEGUN_NAME,
        "Runs that a worker claimed and never started do not keep their place in the queue.",
        after={f"prefect.flow-run.{state}" for state in _CLAIMED},
        related={"prefect.resource.id": f"prefect.tag.{_TAG}"},
        seconds=UNBEGUN_SECONDS,
        message=UNBEGUN,
    )


async def _watch(
    client: "PrefectClient",
    name: str,
    description: str,
    *,
    after: set[str],
    related: Mapping[str, str],
    seconds: int,
    message: str,
) -> None:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    if await client.read_automations_by_name(name):
        # Somebody may have switched it off, or made it more patient.
        return
    trigger = EventTrigger(
        after=after,
        # States are events by their names, and runs end in states that have the names of outcomes.
        expect={"prefect.flow-run.*"},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(dict(related)),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    crash = ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message, force=False)
    await client.create_automation(
        AutomationCore(name=name, description=description, trigger=trigger, actions=[crash])
    )
