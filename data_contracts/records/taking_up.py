"""Flow runs that died, and whether the server goes on with them by itself."""

from enum import StrEnum
from typing import Any

from data_contracts.records.base import Record, UtcTime


class AskedRun(Record):
    """One flow run of a deployment: what was asked of it, and when."""

    parameters: dict[str, Any]
    due_at: UtcTime
    """When it was to begin; one by schedule is known long before."""
    tags: tuple[str, ...] = ()


class CrashedRun(Record):
    """One that died: neither failed, which is a fault or bad input, nor cancelled."""

    asked: AskedRun
    was_cancelled: bool
    """Somebody had asked it to end before it died."""
    at_work: bool
    """A process is at work on a model of that name: this run's, which was taken for dead, or another's."""


class Action(StrEnum):
    """What is done about it."""

    TAKE_UP = "take up"
    LEAVE = "leave"
    """For good: it is no longer wanted, or somebody else has gone on with it."""
    WAIT = "wait"
    """And look again."""
    GIVE_UP = "give up"
    """Somebody must look into it."""


class TakingUp(Record):
    """What is to be done about one run that died, and why."""

    action: Action
    times: int
    """How often in a row it has been taken up, this time included where it is."""
    sentence: str
