"""A run that was killed goes on after its last finished stage, with the same command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import open_ledger
from tests.flows.conftest import NEVER_FULL, WriteRun
from tests.forked import Forked, lorafirst

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def start(config: Path) -> Forked:
    """The run, with the API that is up for all tests."""
    return lorafirst("run", str(config))


def test_a_killed_run_goes_on_and_an_ended_one_does_no_work_again(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    config = write_run(rows, policy=NEVER_FULL, training={"max_steps": 400, "checkpoint_steps": 20})
    store = tmp_path / "runs" / ".store"
    first = start(config)
    deadline = time.monotonic() + 240
    # Killed inside training, however fast the machine: its first checkpoint of twenty is there.
    while not list(store.glob(".checkpoints/train-lora-*/step-*")):
        assert first.poll() is None and time.monotonic() < deadline, first.said(1)
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    (dossier,) = (tmp_path / "runs").glob("small-*")
    assert not (dossier / "manifest.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in store.glob("[a-z]*/evidence.json")}
    assert {path.parent.name.rpartition("-")[0] for path in finished} == {
        "contract", "snapshot", "baseline", "distance", "score-baseline",
    }  # fmt: skip

    second = start(config).said(400)
    assert "goes on after an interruption" in second, second
    assert [path.name for path in (tmp_path / "runs").glob("small-*")] == [dossier.name]
    assert (dossier / "manifest.json").is_file()
    assert not list(store.glob(".*.partial"))
    assert {path: path.stat().st_mtime_ns for path in finished} == finished

    third = start(config).said(400)
    lines = [line for line in third.splitlines() if line.startswith("✓")]
    worked = [line for line in lines if not line.endswith("reused") and "base model" not in line]
    assert lines and worked == [], third
    new = [path for path in (tmp_path / "runs").glob("small-*") if path != dossier]
    assert len(new) == 1
    old_report, new_report = (
        json.loads((folder / "outcome.json").read_bytes()) for folder in (dossier, new[0])
    )
    assert new_report["outcome"] == old_report["outcome"]


def test_a_run_killed_in_training_ends_with_the_very_same_adapter(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    """Killed once, asked to end once; the third start of the same command finishes."""
    training = {"epochs": 8, "max_steps": 90, "checkpoint_steps": 20, "curve_points": 4}
    undisturbed = write_run(rows, policy=NEVER_FULL, training=training, output=str(tmp_path / "undisturbed"))
    assert start(undisturbed).wait(400) == 0
    config = write_run(rows, policy=NEVER_FULL, training=training)
    store = tmp_path / "runs" / ".store"

    def wait_for_step(process: Forked, step: int) -> None:
        deadline = time.monotonic() + 240
        while not list(store.glob(f".checkpoints/train-lora-*/step-{step:06}")):
            assert process.poll() is None and time.monotonic() < deadline, process.said(1)
            time.sleep(0.05)

    first = start(config)
    wait_for_step(first, 20)
    first.send_signal(signal.SIGKILL)
    first.wait(10)

    second = start(config)
    wait_for_step(second, 40)
    second.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    said = second.said(60)
    assert time.monotonic() - asked < 10
    assert second.poll() == 143, said
    assert "Stopped by SIGTERM: saved at step" in said and "Traceback" not in said

    last = start(config).said(400)
    assert "Went on from the checkpoint of step" in last, last
    assert not list(store.glob(".checkpoints/*"))
    ours, theirs = (
        json.loads(next((tmp_path / name).glob(".store/train-lora-*/evidence.json")).read_bytes())
        for name in ("runs", "undisturbed")
    )
    assert ours["artifact"] == theirs["artifact"] and ours["curve"] == theirs["curve"]
    assert theirs["conditions"]["resumed_from_steps"] == []
    resumed = ours["conditions"]["resumed_from_steps"]
    assert len(resumed) == 2 and resumed[0] == 20 and 40 <= resumed[1] < 90


def test_a_run_gone_on_with_on_other_data_keeps_nothing_of_the_attempt_before(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    """The pilot was short and full was permitted; then the run was killed, and the data was mended."""
    import yaml

    config = write_run(rows, policy=NEVER_FULL, training={"max_steps": 60})
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    report = _run_here(config)
    dossier = Path(report["dossier"])
    (dossier / "manifest.json").unlink()
    for planted in ("permit.json", "decisions/04-justification.json", "full/evidence.json", ".left"):
        (dossier / planted).parent.mkdir(exist_ok=True)
        (dossier / planted).write_text("{}", encoding="utf-8")
    data = Path(settings["data"]["source"])
    data.write_text("\n".join(data.read_text(encoding="utf-8").splitlines()[:-5]) + "\n", encoding="utf-8")
    again = _run_here(config)
    assert again["run_id"] == report["run_id"]
    listed = {file.path for file in Dossier(dossier).manifest().files}
    assert not [name for name in listed if name.startswith(("full/", "permit", "."))]
    made = {f"decisions/{n:02}-{each['gate']}.json" for n, each in enumerate(again["decisions"], start=1)}
    assert {name for name in listed if name.startswith("decisions/")} == made
    assert "decisions/04-justification.json" not in made
    # The decisions of the attempt before stand in the ledger, and are known for what they are.
    with open_ledger(str(dossier.parent / "ledger.sqlite"), read_only=True) as ledger:
        assert verify_dossier(dossier, ledger=ledger).faults == ()


def test_what_changed_is_done_again_and_nothing_else(write_run: WriteRun, rows: list[dict[str, str]]) -> None:
    def reused(**changes: object) -> dict[str, bool]:
        from contextlib import suppress

        from data_contracts.settings_file import load_settings
        from flows.finetune import finetune
        from tasks.stages.watching import listening

        class Recorder:
            def __init__(self) -> None:
                self.stages: dict[str, bool] = {}

            def run_started(self, run_id: str, resumed: bool) -> None: ...

            def progressed(self, done: int, total: int, what: str) -> None: ...

            def noted(self, sentence: str) -> None: ...

            def decided(self, decision: object) -> None: ...

            def stage_ended(self, stage: str, line: str, cost: object, reused: bool) -> None:
                self.stages[stage] = reused

        recorder = Recorder()
        config = write_run(rows, **{"policy": NEVER_FULL, "training": {"max_steps": 40}, **changes})
        with listening(recorder), suppress(KeyError):
            finetune(load_settings(config))
        del recorder.stages["base model"]
        return recorder.stages

    data = {"contract", "snapshot", "baseline", "domain distance", "score baseline"}
    stages = data | {"train lora", "score lora"}
    assert set(reused().items()) == {(stage, False) for stage in stages}
    assert {stage for stage, kept in reused().items() if kept} == stages
    assert {stage for stage, kept in reused(policy={**NEVER_FULL, "target": 0.98}).items() if kept} == stages
    assert {stage for stage, kept in reused(seed=3).items() if kept} == data
    assert {stage for stage, kept in reused(pilot={"learning_rate": 3e-3}).items() if kept} == data
    assert not any(reused(model={"max_tokens": 47}).values())


def _run_here(config: Path) -> dict[str, Any]:
    from data_contracts.settings_file import load_settings
    from flows.running import run_here

    report: dict[str, Any] = json.loads(run_here(load_settings(config), quiet=True).model_dump_json())
    return report


def test_the_local_api_ends_with_the_run_that_started_it(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    script = (
        "import os, sys, time\n"
        "os.environ.pop('PREFECT_API_URL', None)\n"
        "from flows.local_api import start_unless_configured\n"
        "api = start_unless_configured(); api.wait()\n"
        "print(api._process.pid, flush=True); time.sleep(600)\n"
    )
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        # A zombie has no command line left.
        if not Path(f"/proc/{child}/cmdline").read_bytes():
            break
        time.sleep(0.2)
    else:
        assert not Path(f"/proc/{child}/cmdline").exists()
