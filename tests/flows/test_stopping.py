"""How a run ends of which a training process died."""

import pytest

from data_contracts.errors import ProcessesFailedError
from flows.stopping import FLOW_RUN_VARIABLE, RunBrokeOff, broken_off_told


def test_a_workers_run_ends_as_crashed_and_not_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect takes for failed whatever ends by an ``Exception``, and those are not taken up."""
    monkeypatch.setenv(FLOW_RUN_VARIABLE, "01a21a40-4f42-7049-ae79-d0fd14db9f5b")
    with pytest.raises(RunBrokeOff, match="ended with exit code 1") as told, broken_off_told():
        raise ProcessesFailedError("A process of several ended with exit code 1.")
    assert not isinstance(told.value, Exception)


def test_whoever_started_it_on_a_terminal_reads_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FLOW_RUN_VARIABLE, raising=False)
    with pytest.raises(ProcessesFailedError, match="ended with exit code 1"), broken_off_told():
        raise ProcessesFailedError("A process of several ended with exit code 1.")


def test_a_fault_of_the_run_itself_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FLOW_RUN_VARIABLE, "01a21a40-4f42-7049-ae79-d0fd14db9f5b")
    with pytest.raises(ValueError, match="unusable"), broken_off_told():
        raise ValueError("unusable")
