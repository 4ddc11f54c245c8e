"""The flows `approve` and `remind` at a server whose runs nobody works on: what goes on, and how often."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import State
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Crashed, Failed

from data_contracts.records.decision import Outcome
from data_contracts.records.pilots import Reply
from flows.approve import approve
from flows.finetune import finetune
from flows.going_on import go_on
from flows.remind import remind
from tests.tasks.audit.test_waiting import ended
from tests.tasks.evidence.test_dossier import request

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def deployed(api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[UUID]:
    """The deployment that a run goes on by, for this test alone."""
    for name in ("LORAFIRST_KEYRING", "LORAFIRST_LEDGER"):
        monkeypatch.delenv(name, raising=False)

    async def create() -> UUID:
        async with get_client() as client:
            return await client.create_deployment(await client.create_flow(finetune), "finetune")

    async def delete(deployment: UUID) -> None:
        async with get_client() as client:
            await client.delete_deployment(deployment)

    deployment = asyncio.run(create())
    yield deployment
    asyncio.run(delete(deployment))


def scheduled(deployment: UUID) -> list[Any]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    async def read() -> list[Any]:
        async with get_client() as client:
            mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
            return list(await client.read_flow_runs(deployment_filter=mine))

    return asyncio.run(read())


def end(run: UUID, state: State[Any]) -> None:
    async def set_state() -> None:
        async with get_client() as client:
            await client.set_flow_run_state(run, state, force=True)

    asyncio.run(set_state())


def answered(output: Path, run: str) -> State[Any]:
    return approve(run, name="Ada", reason="due", reply=Reply.APPROVE, output=output, return_state=True)


def test_an_answer_and_the_reminder_after_it_start_one_run(tmp_path: Path, deployed: UUID) -> None:
    ended(tmp_path, "run-one", Outcome.AWAITING_APPROVAL)
    assert answered(tmp_path, "run-one").name == "Approved"
    assert remind(tmp_path) == 1
    (started,) = scheduled(deployed)
    # It fails before it has a dossier, so that the run waits still.
    ends: tuple[State[Any], ...] = (Failed(), Crashed())
    for broken in ends:
        end(started.id, broken)
        before = {each.id for each in scheduled(deployed)}
        remind(tmp_path)
        remind(tmp_path)
        (started,) = (each for each in scheduled(deployed) if each.id not in before)


def test_a_run_that_somebody_cancelled_is_not_started_again(deployed: UUID) -> None:
    first = go_on(request("run-cancelled"), because="expired")
    end(first.id, Cancelled())
    assert go_on(request("run-cancelled"), because="expired").id == first.id


def test_an_answer_that_comes_too_late_is_not_called_an_approval(tmp_path: Path) -> None:
    ended(tmp_path, "run-late", Outcome.AWAITING_APPROVAL, days=1e-7)
    state = answered(tmp_path, "run-late")
    assert state.name == "TooLate" and "is a denial whatever it says" in str(state.message)


def test_a_run_that_cannot_go_on_keeps_no_other_from_it(tmp_path: Path, deployed: UUID) -> None:
    """Its settings are larger than a server takes, and it comes first."""
    for name, digit in (("run-small", "1"), ("run-vast", "2")):
        dossier = ended(tmp_path, name, Outcome.AWAITING_APPROVAL, days=1e-7)
        asked = dossier.request()
        settings: dict[str, Any] = dict(asked.settings)
        if name == "run-vast":
            settings["data"] = {**settings["data"], "source": "a" * 530_000}
        digest = f"sha256:{digit * 64}"
        changes = {"settings": settings, "settings_digest": digest}
        dossier.write_request(asked.model_copy(update=changes))
    assert remind(tmp_path) == 2
    assert len(scheduled(deployed)) == 1
