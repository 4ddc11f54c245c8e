"""Flow runs that died, as the server tells of them, and having the server go on with one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed
from pydantic import ValidationError

from data_contracts.errors import LorafirstError
from data_contracts.records.base import utc_time
from data_contracts.records.settings import RunSettings
from data_contracts.records.taking_up import AskedRun, CrashedRun
from data_contracts.served import served_folder, settings_of_file
from flows.operating.silent_runs import UNBEGUN, UNBEGUN_SECONDS
from tasks.decisions.taking_up import count_tag
from tasks.evidence.dossier import list_dossiers

TAG = "take-up-if-crashed"
"""Of deployments whose runs the server goes on with by itself."""
WENT_ON, GIVEN_UP = "went-on", "given-up"
"""Tags of runs that died, once something was done about them."""
_LOOK_BACK = timedelta(days=3)
"""A weekend; what died earlier has been forgotten, or done without."""


@dataclass(frozen=True)
class Found:
    """A run that died, and nobody has seen to."""

    flow_run: FlowRun
    crashed: CrashedRun
    others: tuple[AskedRun, ...]
    """Of the same deployment, due after it."""


def find_crashed(client: SyncPrefectClient) -> Iterator[Found]:
    """Runs of the tagged deployments that died in the last days, oldest first."""
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    for deployment in client.read_deployments(deployment_filter=tagged):
        for run in _runs(client, deployment, crashed_lately()):
            if not {WENT_ON, GIVEN_UP} & set(run.tags):
                yield _found(client, deployment, run)


def mark_never_begun(client: SyncPrefectClient) -> None:
    """Marks runs of the tagged deployments that a worker claimed long ago and that never gave a sign of life.

    An automation does so at once, by events; a server on SQLite drops some while it is locked, and such a run
    would keep its place in the queue for ever.
    """
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    claimed = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])))
    latest = datetime.now(UTC) - timedelta(seconds=UNBEGUN_SECONDS)
    for run in client.read_flow_runs(deployment_filter=tagged, flow_run_filter=claimed):
        if run.state is not None and run.state.timestamp < latest:
            client.set_flow_run_state(run.id, Crashed(message=UNBEGUN))


def crashed_lately() -> FlowRunFilter:
    return FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        end_time=FlowRunFilterEndTime(after_=datetime.now(UTC) - _LOOK_BACK),
    )


def go_on_with(client: SyncPrefectClient, died: FlowRun, times: int) -> FlowRun:
    """The run that goes on with it; asked twice, the same one."""
    assert died.deployment_id is not None
    started = client.create_flow_run_from_deployment(
        died.deployment_id,
        parameters=died.parameters,
        tags=[count_tag(times)],
        idempotency_key=f"taken-up:{died.id}",
        work_queue_name=died.work_queue_name,
        job_variables=died.job_variables,
    )
    see_to(client, died, WENT_ON)
    return started


def see_to(client: SyncPrefectClient, died: FlowRun, tag: str) -> None:
    """Something was done about it; it is not found again."""
    client.update_flow_run(died.id, tags=[*died.tags, tag]).raise_for_status()


def _found(client: SyncPrefectClient, deployment: DeploymentResponse, run: FlowRun) -> Found:
    since = FlowRunFilterExpectedStartTime(after_=run.expected_start_time)
    others = _runs(client, deployment, FlowRunFilter(expected_start_time=since))
    crashed = CrashedRun(
        asked=_asked(run),
        was_cancelled=any(state.is_cancelling() for state in client.read_flow_run_states(run.id)),
        at_work=is_at_work(run.parameters),
    )
    return Found(run, crashed, tuple(_asked(other) for other in others if other.id != run.id))


def _runs(
    client: SyncPrefectClient, deployment: DeploymentResponse, wanted: FlowRunFilter
) -> Sequence[FlowRun]:
    of_it = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    return client.read_flow_runs(
        deployment_filter=of_it, flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC
    )


def _asked(run: FlowRun) -> AskedRun:
    due_at = run.expected_start_time or run.created or datetime.now(UTC)
    return AskedRun(parameters=run.parameters, due_at=utc_time(due_at), tags=tuple(run.tags))


def is_at_work(parameters: dict[str, Any]) -> bool:
    """Whether a process is at work on a model of the name that the run's settings give.

    A run is taken for dead by its silence, and may only have lost its server.
    """
    settings = None
    # What cannot be read has nobody at work; the run itself says so.
    with suppress(LorafirstError, ValidationError, OSError):
        settings = _settings(parameters.get("settings"))
    return settings is not None and any(
        dossier.in_use and dossier.folder.name.startswith(f"{settings.name}-")
        for dossier in list_dossiers(settings.output.resolve())
    )


def _settings(given: object) -> RunSettings | None:
    if isinstance(given, str):
        return settings_of_file(Path(given), "settings")
    if isinstance(given, dict):
        served, settings = served_folder(), RunSettings.model_validate(given)
        return settings if served is None else served.settings(settings)
    return None
