"""Starting a run again on the server, from what its dossier says was asked."""

import json
import os
from typing import TYPE_CHECKING, cast

from data_contracts.errors import InputError
from data_contracts.records.evidence import RunRequest

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

DEPLOYMENT = "finetune/finetune"
_MOST_BYTES = 512 * 1024
"""Of all parameters of a flow run; Prefect takes no more."""


def go_on(request: RunRequest, *, because: str) -> "FlowRun":
    """The flow run that goes on with a run that waits, once it is scheduled; asked again, the same one.

    Another where that one failed or crashed, after which the run waits still.

    Args:
        because: what it goes on after; a part of what makes it one and the same.

    Raises:
        InputError: its settings are larger than a server takes, or the server has no such deployment.
    """
    from prefect.exceptions import ObjectNotFound

    require_size(request.settings)
    key = f"{request.run_id}:{because}"
    try:
        started, attempt = _started(request, key), 1
        while _broke_off(started):
            attempt += 1
            started = _started(request, f"{key}:{attempt}")
    except ObjectNotFound as error:
        raise InputError.single(
            f"deployment {DEPLOYMENT}",
            expected="a deployment of the server",
            found="none of that name",
            remedy="run `lorafirst up`, or register deployments/prefect.yaml",
        ) from error
    return started


def _started(request: RunRequest, key: str) -> "FlowRun":
    from prefect.deployments import run_deployment

    # A plain run of its own: no run waits for it, and no subflow of the one that starts it.
    started = run_deployment(
        DEPLOYMENT,
        parameters={"settings": request.settings},
        idempotency_key=key,
        timeout=0,
        as_subflow=False,
    )
    # Asynchronous callers would get a promise of it; there are none.
    return cast("FlowRun", started)


def _broke_off(found: "FlowRun") -> bool:
    """Not one that somebody cancelled, who may have meant it."""
    return found.state is not None and (found.state.is_failed() or found.state.is_crashed())


def go_on_if_served(request: RunRequest, *, because: str) -> str | None:
    """The name of the flow run, where ``PREFECT_API_URL`` names a server that has the deployment."""
    if not os.environ.get("PREFECT_API_URL"):
        return None
    import httpx

    try:
        return go_on(request, because=because).name
    except (InputError, httpx.HTTPError):
        return None


def require_size(settings: object) -> None:
    """Returns only if a server takes the settings as a parameter; raises ``InputError``."""
    size = len(json.dumps(settings).encode())
    if size >= _MOST_BYTES:
        raise InputError.single(
            "settings",
            expected=f"less than {_MOST_BYTES // 1024} KiB, which a server takes as parameters",
            found=f"{size / 1024:,.0f} KiB",
            remedy="put them into a file of the served folder, and start the deployment `nightly` with it",
        )
