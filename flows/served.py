"""What a flow checks before anything else where a worker runs it for somebody."""

from importlib.metadata import version
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.records.settings import RunSettings
from data_contracts.served import served_folder


def as_served(settings: RunSettings) -> RunSettings:
    """The settings as they are where the user started the flow; confined to the served folder elsewhere.

    Raises:
        InputError: they name what they may not, or the deployment is of another version; with every problem.
    """
    require_deployed_version()
    served = served_folder()
    return settings if served is None else served.settings(settings)


def in_served(path: Path, where: str) -> Path:
    """The path in the served folder, or as it is where nothing is served.

    Raises:
        InputError: it leads out of the folder.
    """
    served = served_folder()
    return path if served is None else served.file(path, where)


def require_deployed_version() -> None:
    """Returns only if no deployment started this flow, or one of this version.

    The form of another version has other fields, and its settings another meaning.

    Raises:
        InputError: the deployment is of another version.
    """
    from prefect.context import FlowRunContext
    from prefect.runtime import deployment

    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None:
        return
    deployed, installed = deployment.version, version("lorafirst")
    if deployed != installed:
        raise InputError.single(
            f"deployment {deployment.name}",
            expected=f"version {installed}, which is installed where the worker runs",
            found=str(deployed),
            remedy="run `lorafirst up` there, or register deployments/prefect.yaml of that version again",
        )
