"""Processes that train together answer a request to end alike, or each would wait for the other."""

import signal

import pytest

from tasks.training import interruptions
from tasks.training.interruptions import StopRequest


@pytest.mark.parametrize("another_was_asked", [True, False])
def test_all_hear_of_a_request_that_one_had(monkeypatch: pytest.MonkeyPatch, another_was_asked: bool) -> None:
    monkeypatch.setattr(interruptions, "agreed", lambda asked: asked or another_was_asked)
    request = StopRequest()
    assert request.agreed() is another_was_asked
    assert request.signal_number == (signal.SIGTERM if another_was_asked else None)


def test_a_request_while_they_agree_counts_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has taken this one's answer to be no, and goes on with its next step."""
    request = StopRequest()

    def comes_meanwhile(asked: bool) -> bool:
        request.signal_number = signal.SIGINT
        return asked

    monkeypatch.setattr(interruptions, "agreed", comes_meanwhile)
    assert request.agreed() is False
    assert request.agreed() is True
    assert request.signal_number == signal.SIGINT
