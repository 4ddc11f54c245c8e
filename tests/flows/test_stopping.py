"""How a run ends of which a training process died."""

import pytest

from data_contracts.errors import BrokenOffError, ProcessesFailedError
from flows.stopping import FLOW_RUN_VARIABLE, RunBrokeOff, broken_off_told
from tasks.stages import notifying
from tasks.stages.notifying import tell_fault


def test_a_workers_run_ends_as_crashed_and_not_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect takes for failed whatever ends by an ``Exception``, and those are not taken up."""
    monkeypatch.setenv(FLOW_RUN_VARIABLE, "01a21a40-4f42-7049-ae79-d0fd14db9f5b")
    with pytest.raises(RunBrokeOff, match="ended with exit code 1") as told, broken_off_told():
        raise BrokenOffError("A process of several ended with exit code 1.")
    assert not isinstance(told.value, Exception)


def test_whoever_started_it_on_a_terminal_reads_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FLOW_RUN_VARIABLE, raising=False)
    with pytest.raises(BrokenOffError, match="ended with exit code 1"), broken_off_told():
        raise BrokenOffError("A process of several ended with exit code 1.")


@pytest.mark.parametrize("kind", [ValueError, ProcessesFailedError])
def test_a_fault_of_the_run_itself_is_a_failure(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FLOW_RUN_VARIABLE, "01a21a40-4f42-7049-ae79-d0fd14db9f5b")
    with pytest.raises(kind, match="unusable"), broken_off_told():
        raise kind("unusable")


def test_prefect_takes_it_for_a_crash_also_around_another_flow(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `retrain` and `nightly` are around `finetune`; and people are told of it once."""
    from prefect import flow
    from prefect.client.orchestration import get_client

    told: list[str] = []
    monkeypatch.setattr(notifying, "notify", lambda blocks, notice: told.append(notice.subject))
    monkeypatch.setenv(notifying.BLOCKS_VARIABLE, "somebody")
    monkeypatch.setenv(FLOW_RUN_VARIABLE, "01a21a40-4f42-7049-ae79-d0fd14db9f5b")

    @flow(name="inner", flow_run_name="inner", on_crashed=[tell_fault], on_failure=[tell_fault])
    def inner() -> None:
        with broken_off_told():
            raise BrokenOffError("One of two was killed.")

    @flow(name="outer", flow_run_name="outer", on_crashed=[tell_fault], on_failure=[tell_fault])
    def outer() -> None:
        inner()

    with pytest.raises(RunBrokeOff, match="was killed"):
        outer()
    with get_client(sync_client=True) as client:
        states = {
            run.name: run.state_type for run in client.read_flow_runs() if run.name in ("inner", "outer")
        }
    assert {name: state and state.value for name, state in states.items()} == {
        "inner": "CRASHED",
        "outer": "CRASHED",
    }
    assert told == ["inner: inner broke off"]
