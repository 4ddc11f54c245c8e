"""The flow `take-up` at a server whose runs nobody works on: what goes on, and how often."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Crashed, Failed, Pending, Running

from flows import crashed_runs
from flows.crashed_runs import GIVEN_UP, TAG, WENT_ON
from flows.finetune import finetune
from flows.take_up import take_up
from tasks.decisions.taking_up import MOST_TIMES, count_tag
from tasks.evidence.dossier import open_dossier
from tests.flows.conftest import small_settings
from tests.tasks.evidence.test_dossier import request

pytestmark = pytest.mark.slow


class Deployed:
    """A deployment of the flow, and its runs."""

    def __init__(self, deployment: UUID) -> None:
        self._deployment = deployment

    def start(self, output: Path, *states: State[Any]) -> FlowRun:
        """A run that has come to the last of the states."""
        settings = small_settings(Path("rows.jsonl"), name="questions", output=str(output))
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(self._deployment, parameters={"settings": settings})
            for state in states:
                client.set_flow_run_state(run.id, state, force=True)
            return client.read_flow_run(run.id)

    def read(self, run: FlowRun) -> FlowRun:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run.id)

    def after(self, *known: FlowRun) -> list[FlowRun]:
        mine = DeploymentFilter(id=DeploymentFilterId(any_=[self._deployment]))
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(deployment_filter=mine)
        return [run for run in found if run.id not in {each.id for each in known}]


@pytest.fixture(params=[(TAG,)])
def deployed(api: str, request: pytest.FixtureRequest) -> Iterator[Deployed]:
    """For this test alone."""

    async def create() -> UUID:
        async with get_client() as client:
            flow = await client.create_flow(finetune)
            return await client.create_deployment(flow, "died", tags=list(request.param))

    async def delete(deployment: UUID) -> None:
        async with get_client() as client:
            await client.delete_deployment(deployment)

    deployment = asyncio.run(create())
    yield Deployed(deployment)
    asyncio.run(delete(deployment))


def test_a_run_that_died_goes_on_twice_in_a_row_and_is_then_given_up(
    deployed: Deployed, tmp_path: Path
) -> None:
    runs = [deployed.start(tmp_path, Running(), Crashed())]
    for times in range(1, MOST_TIMES + 1):
        assert take_up() == 1
        assert take_up() == 0, "two events of one death are one run"
        (started,) = deployed.after(*runs)
        assert started.parameters == runs[0].parameters
        assert count_tag(times) in started.tags and WENT_ON in deployed.read(runs[-1]).tags
        runs.append(started)
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(started.id, Crashed(), force=True)
    assert take_up() == 0
    assert deployed.after(*runs) == []
    assert GIVEN_UP in deployed.read(runs[-1]).tags


@pytest.mark.parametrize(
    "states",
    [(Running(), Failed()), (Running(), Cancelling(), Cancelled()), (Running(), Cancelling(), Crashed()),
     (Running(),), (Pending(),)],
    ids=["failed", "cancelled", "cancelled and died", "at work", "claimed"],
)  # fmt: skip
def test_only_what_died_goes_on(deployed: Deployed, states: tuple[State[Any], ...], tmp_path: Path) -> None:
    run = deployed.start(tmp_path, *states)
    assert take_up() == 0
    assert deployed.after(run) == []


def test_a_run_that_was_claimed_long_ago_and_never_began_goes_on(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The automation that marks such runs goes by events, and a server that is locked drops some."""
    claimed = deployed.start(tmp_path / "claimed", Pending(), Pending(name="Submitting"))
    at_work = deployed.start(tmp_path / "at-work", Pending(), Running())
    monkeypatch.setattr(crashed_runs, "UNBEGUN_SECONDS", 0)
    assert take_up() == 1
    (started,) = deployed.after(claimed, at_work)
    assert started.parameters == claimed.parameters
    state, other = deployed.read(claimed).state, deployed.read(at_work).state
    assert state is not None and state.is_crashed() and "the worker died before" in str(state.message)
    assert other is not None and other.is_running()


def test_what_somebody_started_again_is_left_to_them(deployed: Deployed, tmp_path: Path) -> None:
    died = deployed.start(tmp_path, Running(), Crashed())
    again = deployed.start(tmp_path)
    assert take_up() == 0
    assert deployed.after(died, again) == []


def test_a_run_whose_process_lives_is_taken_up_once_it_does_not(deployed: Deployed, tmp_path: Path) -> None:
    """It had lost the server for two minutes."""
    died = deployed.start(tmp_path, Running(), Crashed())
    with open_dossier(tmp_path, "questions", f"sha256:{'0' * 64}") as dossier:
        dossier.write_request(request(dossier.folder.name))
        assert take_up() == 0
    assert deployed.after(died) == []
    assert take_up() == 1


@pytest.mark.parametrize("deployed", [("lorafirst",)], indirect=True)
def test_a_deployment_without_the_tag_is_left(deployed: Deployed, tmp_path: Path) -> None:
    died = deployed.start(tmp_path, Running(), Crashed())
    assert take_up() == 0
    assert deployed.after(died) == []
