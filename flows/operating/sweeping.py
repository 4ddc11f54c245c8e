"""Runs that died while nobody could go on with them are taken up once workers are back."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

DEPLOYMENT = "take-up/take-up"


async def have_crashed_runs_taken_up(client: "PrefectClient") -> None:
    """Asks for a run of the deployment that does it, if any run died lately.

    The server has it started when a run dies, and forgets what happened just before it ended itself.
    """
    from flows.crashed_runs import crashed_lately

    if await client.read_flow_runs(flow_run_filter=crashed_lately(), limit=1):
        found = await client.read_deployment_by_name(DEPLOYMENT)
        await client.create_flow_run_from_deployment(found.id)
