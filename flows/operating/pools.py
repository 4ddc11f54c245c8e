"""Work pools, and who in them waits for whom."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.operating.environment import run_command

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


@dataclass(frozen=True)
class Pool:
    """One work pool with a process worker of its own."""

    name: str
    description: str
    limit: int | None
    """Runs at a time; ``None``: as its queues say."""


POOLS = (
    Pool("lorafirst", "Runs, and what is done about them.", None),
    Pool("lorafirst-full", "Full fine-tuning, one at a time.", 1),
)
TRAINING_QUEUE = "training"
"""Of the first pool: runs, which wait for one another. Approvals and the like pass them by."""


async def create_pools(client: "PrefectClient", work: Path, runs_at_once: int) -> None:
    """Makes the pools and the queue of runs, or changes them to what they should be."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    variables = template["variables"]["properties"]
    variables["working_dir"]["default"] = str(work)
    variables["command"]["default"] = run_command()
    for pool in POOLS:
        asked = WorkPoolCreate(
            name=pool.name,
            description=pool.description,
            type=ProcessWorker.type,
            base_job_template=template,
            concurrency_limit=pool.limit,
        )
        await client.create_work_pool(asked, overwrite=True)
    pool_name = POOLS[0].name
    try:
        queue = await client.read_work_queue_by_name(TRAINING_QUEUE, work_pool_name=pool_name)
    except ObjectNotFound:
        queue = await client.create_work_queue(TRAINING_QUEUE, work_pool_name=pool_name)
    await client.update_work_queue(queue.id, concurrency_limit=runs_at_once)
