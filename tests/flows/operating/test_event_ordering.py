"""An event whose forerunner the server never saw reaches automations within half a minute."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from flows.operating import environment

NAME = "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING"


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Prefect as it was, for other tests of this process."""
    from prefect.server.events.ordering import memory

    name = "PRECEDING_EVENT_LOOKBACK"
    monkeypatch.setattr(memory, name, vars(memory)[name])
    yield
    memory.CausalOrdering.clear_all_scopes()


def test_it_waits_for_its_forerunner_and_not_for_long(restored: None) -> None:
    from prefect.server.events.ordering import EventArrivedEarly, get_triggers_causal_ordering
    from prefect.server.events.schemas.events import ReceivedEvent, Resource
    from prefect.settings import PREFECT_SERVER_EVENTS_CAUSAL_ORDERING, temporary_settings

    def crashed(seconds_ago: float) -> ReceivedEvent:
        at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        resource = Resource({"prefect.resource.id": f"prefect.flow-run.{uuid4()}"})
        return ReceivedEvent(
            id=uuid4(),
            event="prefect.flow-run.Crashed",
            occurred=at,
            received=at,
            resource=resource,
            follows=uuid4(),
        )

    async def handle(event: ReceivedEvent, depth: int = 0) -> None:
        raise AssertionError("nobody follows it")

    async def reaches(event: ReceivedEvent) -> bool:
        try:
            async with ordering.preceding_event_confirmed(handle, event):
                return True
        except EventArrivedEarly:
            return False

    async def look() -> None:
        new, old = crashed(seconds_ago=0), crashed(seconds_ago=25)
        assert not await reaches(new)
        assert await ordering.get_lost_followers() == []
        assert await reaches(old)
        waiting = new.model_copy(update={"received": old.received, "id": uuid4(), "follows": uuid4()})
        await ordering.record_follower(waiting)
        assert [event.id for event in await ordering.get_lost_followers()] == [waiting.id]

    with temporary_settings({PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: environment._EVENT_ORDERING}):
        ordering = get_triggers_causal_ordering()
        asyncio.run(look())


def test_every_server_that_is_shipped_is_told_of_it() -> None:
    installation = environment.Installation(
        state=Path("state"),
        folder=Path("folder"),
        host="127.0.0.1",
        port=4200,
        url="http://127.0.0.1:4200",
        database="sqlite+aiosqlite:///prefect.db",
        credentials="ada:secret",
    )
    assert installation.server_environment()[NAME] == environment._EVENT_ORDERING
    compose = yaml.safe_load(Path("deployments/compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"]["server"]["environment"][NAME] == environment._EVENT_ORDERING
