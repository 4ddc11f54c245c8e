"""A process is stopped only if it is the very one that was started."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.operating.processes import children, descendants, is_running, send, start, wait_for_end
from flows.operating.state import Operating, StartedProcess, read_state, write_state
from flows.operating.stopping import stop_all
from flows.stopping import FLOW_RUN_VARIABLE

Start = Callable[[str], StartedProcess]
SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def run_code(tmp_path: Path) -> Iterator[Start]:
    begun: list[StartedProcess] = []

    def begin(code: str) -> StartedProcess:
        begun.append(
            start("code", [sys.executable, "-c", code], folder=tmp_path, log=tmp_path / "log", environment={})
        )
        return begun[-1]

    yield begin
    send((*descendants(begun), *begun), signal.SIGKILL)


def test_a_process_runs_until_it_is_asked_to_end(run_code: Start) -> None:
    process = run_code(SLEEP)
    assert is_running(process)
    send([process], signal.SIGTERM)
    assert wait_for_end([process], 10) == ()
    assert not is_running(process)


@pytest.mark.parametrize("change", [{"started_ticks": 1}, {"boot": "another"}])
def test_another_process_with_the_same_number_is_never_touched(
    run_code: Start, change: dict[str, object]
) -> None:
    """Such as one that has the number since, or since a reboot."""
    process = run_code(SLEEP)
    remembered = process.model_copy(update=change)
    assert not is_running(remembered)
    send([remembered], signal.SIGKILL)
    assert wait_for_end([remembered], 10) == ()
    assert wait_for_end([process], 0.3) == (process,)


def test_what_runs_below_a_process_is_found(run_code: Start, tmp_path: Path) -> None:
    below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    process = run_code(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {below!r}])")
    other = run_code(SLEEP)
    wait_for_end([process], 1.0)
    found = descendants([process])
    assert len(found) == 2 and len(children([process])) == 1
    assert other.pid not in {each.pid for each in found}


def test_what_a_process_says_is_kept_behind_what_was_said_before(run_code: Start, tmp_path: Path) -> None:
    for word in ("one", "two"):
        wait_for_end([run_code(f"print({word!r})")], 10)
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["one", "two"]


def test_down_ends_a_run_whose_worker_has_died(tmp_path: Path) -> None:
    """It would keep the machine until it is done, with no server to tell of it."""
    work = tmp_path / "work"
    work.mkdir()
    write_state(tmp_path, Operating(host="127.0.0.1", port=1, folder=str(tmp_path), database="none"))
    parts = {"log": tmp_path / "log", "environment": {FLOW_RUN_VARIABLE: "a run"}}
    nested = f"""
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
signal.signal(signal.SIGTERM, lambda number, frame: child.kill())
child.wait()
"""
    run = start("run", [sys.executable, "-c", nested], folder=work, **parts)
    elsewhere = start("elsewhere", [sys.executable, "-c", SLEEP], folder=tmp_path, **parts)
    other = start("other", [sys.executable, "-c", SLEEP], folder=work, log=tmp_path / "log", environment={})
    try:
        while not children([run]):
            assert is_running(run)
        found = stop_all(tmp_path)
        assert found is not None and found.runs == 1 and read_state(tmp_path) is None
        assert not is_running(run)
        assert is_running(elsewhere) and is_running(other)
    finally:
        send((*descendants([run]), run, elsewhere, other), signal.SIGKILL)
