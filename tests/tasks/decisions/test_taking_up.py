"""Which runs that died the server goes on with by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from data_contracts.records.base import utc_time
from data_contracts.records.taking_up import Action, AskedRun, CrashedRun, TakingUp
from tasks.decisions.taking_up import MOST_TIMES, count_tag, decide_taking_up, times_taken_up

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SETTINGS = {"settings": {"name": "questions"}}


def asked(minutes: float, parameters: dict[str, Any] = SETTINGS, *tags: str) -> AskedRun:
    """One that was due so long after the one that died was to begin, which was an hour ago."""
    due_at = utc_time(NOW + timedelta(minutes=minutes - 60))
    return AskedRun(parameters=parameters, due_at=due_at, tags=("lorafirst", *tags))


def decided(*others: AskedRun, tag: str = "", cancelled: bool = False, at_work: bool = False) -> TakingUp:
    died = CrashedRun(asked=asked(0, SETTINGS, tag), was_cancelled=cancelled, at_work=at_work)
    return decide_taking_up(died, others, now=utc_time(NOW))


def test_a_run_that_died_is_taken_up_and_counted() -> None:
    first = decided(asked(0))
    assert first.action is Action.TAKE_UP and first.times == 1
    second = decided(tag=count_tag(first.times))
    assert second.action is Action.TAKE_UP and second.times == 2
    assert times_taken_up(("lorafirst", count_tag(second.times))) == 2


def test_after_the_most_times_in_a_row_it_is_given_up() -> None:
    last = decided(tag=count_tag(MOST_TIMES))
    assert last.action is Action.GIVE_UP and "died 3 times in a row" in last.sentence


def test_a_cancelled_one_is_left() -> None:
    assert decided(cancelled=True).action is Action.LEAVE


@pytest.mark.parametrize(
    ("other", "action"),
    [
        (asked(5), Action.LEAVE),
        (asked(5, {"settings": {"name": "others"}}), Action.TAKE_UP),
        (asked(-5), Action.TAKE_UP),
        (asked(1440), Action.TAKE_UP),
    ],
    ids=["since", "other settings", "earlier", "planned for tomorrow"],
)
def test_what_somebody_started_again_since_is_left(other: AskedRun, action: Action) -> None:
    assert decided(other).action is action


def test_one_whose_process_lives_is_looked_at_again_and_not_given_up() -> None:
    assert decided(at_work=True).action is Action.WAIT
    assert decided(at_work=True, tag=count_tag(MOST_TIMES)).action is Action.WAIT


def test_tags_of_others_count_nothing() -> None:
    assert times_taken_up(("taken-up:", "taken-up:soon", "nightly")) == 0
