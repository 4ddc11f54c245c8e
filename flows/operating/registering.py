"""Pools and deployments on a server that others have started: ``python -m flows.operating.registering``.

Takes the server from ``PREFECT_API_URL`` and ``PREFECT_API_AUTH_STRING``, and has runs take place in the
current folder, which should be empty. For ``deployments/compose.yaml``, where each process is a container.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from flows.operating.deployments import shipped_file
from flows.operating.environment import deploy_command
from flows.operating.pools import create_pools
from flows.operating.silent_runs import watch_for_silent_runs


async def _prepare(runs_at_once: int) -> None:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await create_pools(client, Path.cwd(), runs_at_once)
        await watch_for_silent_runs(client)


def main() -> None:
    asyncio.run(_prepare(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
    done = subprocess.run(deploy_command(shipped_file()), check=False)  # noqa: S603 - our own interpreter
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
