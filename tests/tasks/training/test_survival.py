"""Whatever interrupts a training, it ends as an undisturbed one does: weights and curve, bit for bit."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.laboratory import laboratory_rung
from data_contracts.errors import TrainingDivergedError
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings, PilotSettings, TrainingSettings
from tasks.evidence.checkpoints import CheckpointFolder
from tasks.training.fit import Fitted, fit
from tasks.training.inputs import TrainingInputs
from tasks.training.rungs import FullRung, PilotRung
from tasks.training.score import score
from tests.forked import Forked
from tests.tasks.training.conftest import Encoded
from tests.tasks.training.train_once import DIGEST, Job, train_once

pytestmark = pytest.mark.slow

TRAINING: dict[str, Any] = {
    # Four rows in memory of eight a step, seven steps, and a curve whose points lie between checkpoints.
    "max_steps": 7,
    "effective_batch_size": 8,
    "micro_batch_size": 4,
    "curve_points": 3,
    "checkpoint_steps": 2,
}


@dataclass(frozen=True)
class Result:
    """What counts of a training."""

    weights: dict[str, bytes]
    curve: Any

    @classmethod
    def of(cls, folder: Path) -> "Result":
        artifact = folder / "artifact"
        names = ("adapter_model.safetensors", "adapter_config.json", "model.safetensors")
        return cls(
            {name: (artifact / name).read_bytes() for name in names if (artifact / name).exists()},
            json.loads((folder / "curve.json").read_text(encoding="utf-8")),
        )


class KilledError(BaseException):
    """Stands for ``kill -9`` inside this process: nothing of ours is run after it."""


def train(
    encoded: Encoded,
    folder: Path,
    *,
    full: bool = False,
    method: str = "lora",
    kill_at: int | None = None,
    training: dict[str, Any] | None = None,
    told: list[str] | None = None,
    learning_rate: float = 1e-3,
) -> Fitted:
    def progress(done: int, total: int, what: str) -> None:
        if done == kill_at:
            raise KilledError

    fitted = fit(
        TrainingInputs(
            base=encoded.base,
            base_name="base",
            base_digest=DIGEST,
            head=encoded.head,
            rung=rung(full, method),
            train=encoded.train,
            tune=encoded.tune,
            tokenizer=encoded.tokenizer,
            training=TrainingSettings(**{**TRAINING, **(training or {})}),
            learning_rate=learning_rate,
            seed=5,
        ),
        artifact=folder / "artifact",
        checkpoints=CheckpointFolder(folder / "checkpoints"),
        progress=progress,
        tell=(told if told is not None else []).append,
    )
    (folder / "curve.json").write_text(
        json.dumps([point.model_dump() for point in fitted.curve]), encoding="utf-8"
    )
    return fitted


def rung(full: bool, method: str = "lora") -> PilotRung | FullRung:
    if full:
        return laboratory_rung(snapshot=DIGEST, base_model=DIGEST, policy=DIGEST, seed=5)
    return PilotRung(PilotSettings(method=method, rank=4, alpha=8, dropout=0.1))


@pytest.mark.parametrize("full", [False, True])
def test_wherever_it_is_broken_off_it_ends_alike(full: bool, encoded: Encoded, tmp_path: Path) -> None:
    """At every step, before the first checkpoint too; what is wrong once stays so to the end."""
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = train(encoded, tmp_path / "whole", full=full)
    assert whole.conditions.resumed_from_steps == () and whole.earlier.seconds == 0
    steps = (3, 6) if full else (1, 3, 4, 5, 6, 7)
    for step in steps:
        with pytest.raises(KilledError):
            train(encoded, tmp_path / "broken", full=full, kill_at=step)
    fitted = train(encoded, tmp_path / "broken", full=full)
    assert Result.of(tmp_path / "broken") == Result.of(tmp_path / "whole")
    assert (fitted.rows_seen, fitted.supervised_tokens) == (whole.rows_seen, whole.supervised_tokens)
    # A step is killed before its own checkpoint is written, which also keeps where the process began.
    assert fitted.conditions.resumed_from_steps == ((2, 4) if full else (2, 4, 6))
    assert fitted.earlier.seconds > 0


@pytest.mark.parametrize("method", ["adalora", "pissa", "dora", "adapter"])
def test_a_method_that_remembers_something_ends_alike_too(
    method: str, encoded: Encoded, tmp_path: Path
) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    train(encoded, tmp_path / "whole", method=method)
    for step in (3, 6):
        with pytest.raises(KilledError):
            train(encoded, tmp_path / "broken", method=method, kill_at=step)
    assert train(encoded, tmp_path / "broken", method=method).conditions.resumed_from_steps == (2, 4)
    assert Result.of(tmp_path / "broken") == Result.of(tmp_path / "whole")


def test_checkpoints_change_nothing(encoded: Encoded, tmp_path: Path) -> None:
    for name, steps in (("often", 1), ("never", None)):
        (tmp_path / name).mkdir()
        train(encoded, tmp_path / name, training={"checkpoint_steps": steps})
    assert Result.of(tmp_path / "often") == Result.of(tmp_path / "never")
    assert not (tmp_path / "never" / "checkpoints").exists()


def test_how_often_the_curve_is_taken_changes_no_weights(encoded: Encoded, tmp_path: Path) -> None:
    for name, points in (("often", 7), ("once", 1)):
        (tmp_path / name).mkdir()
        train(encoded, tmp_path / name, training={"curve_points": points})
    assert Result.of(tmp_path / "often").weights == Result.of(tmp_path / "once").weights


def test_checkpoints_come_by_the_minute_too(encoded: Encoded, tmp_path: Path) -> None:
    by_minutes = {"checkpoint_steps": None, "checkpoint_minutes": 1e-6}
    with pytest.raises(KilledError):
        train(encoded, tmp_path, kill_at=3, training=by_minutes)
    assert train(encoded, tmp_path, training=by_minutes).conditions.resumed_from_steps == (2,)


def test_a_checkpoint_cut_short_falls_back_to_the_one_before_and_says_so(
    encoded: Encoded, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    train(encoded, tmp_path / "whole")
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(KilledError):
        train(encoded, folder, kill_at=6)
    weights = folder / "checkpoints" / "step-000004" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    told: list[str] = []
    fitted = train(encoded, folder, told=told)
    assert Result.of(folder) == Result.of(tmp_path / "whole")
    assert fitted.conditions.resumed_from_steps == (2,)
    assert len(told) == 2 and tuple(told) == fitted.conditions.incidents
    assert "step-000004 is damaged" in told[0] and "weights.safetensors" in told[0]
    assert "step 2" in told[1]


def test_a_checkpoint_of_an_adapter_is_small_and_holds_no_pickle(encoded: Encoded, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(encoded, tmp_path, kill_at=3)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    files = {path.name: path for path in checkpoint.iterdir()}
    tensors = {f"{name}.safetensors" for name in ("weights", "optimizer", "random")}
    assert set(files) == {"manifest.json", "progress.json"} | tensors
    base = (encoded.base / "model.safetensors").stat().st_size
    assert sum(path.stat().st_size for path in files.values()) < base / 10


# What follows is done to real processes.


@dataclass
class Ran:
    code: int
    lines: list[str]

    def told(self) -> list[str]:
        return [line.removeprefix("tell ") for line in self.lines if line.startswith("tell ")]


def run(job: Job, at: dict[int, Callable[[Forked], None]] | None = None) -> Ran:
    """Runs the job and does what ``at`` says as soon as a step is told."""
    process = Forked(train_once, job)
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        for step, action in (at or {}).items():
            if lines[-1] == f"step {step}":
                action(process)
    code = process.wait(timeout=60)
    assert "Traceback" not in process.errors(), process.errors()
    return Ran(code, lines)


def kill(process: Forked) -> None:
    process.send_signal(signal.SIGKILL)


MakeJob = Callable[..., Job]


@pytest.fixture(scope="module")
def saved_rows(encoded: Encoded, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    for name, rows in (("train", encoded.train), ("tune", encoded.tune)):
        rows.save_to_disk(folder / name)
    return str(folder)


def make_job(encoded: Encoded, folder: Path, **changes: Any) -> Job:
    folder.mkdir(exist_ok=True)
    changes["training"] = {**TRAINING, **changes.get("training", {})}
    return Job(labels=encoded.head.labels, folder=str(folder), **{"base": str(encoded.base), **changes})


@pytest.fixture
def job(encoded: Encoded, saved_rows: str, tmp_path: Path) -> MakeJob:
    def make(name: str, **changes: Any) -> Job:
        return make_job(encoded, tmp_path / name, **{"rows": saved_rows, **changes})

    return make


@pytest.fixture(scope="module")
def whole(encoded: Encoded, saved_rows: str, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What the training without changes leaves when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(make_job(encoded, folder, rows=saved_rows)).code == 0
    return Result.of(folder)


@pytest.mark.parametrize("full", [False, True])
def test_a_killed_process_ends_alike_after_the_same_command(full: bool, job: MakeJob, tmp_path: Path) -> None:
    options = {"full": full, "dropout": 0.0 if full else 0.1}
    assert run(job("whole", **options)).code == 0
    broken = job("broken", **options)
    assert run(broken, {3: kill}).code == -signal.SIGKILL
    assert run(broken, {6: kill}).code == -signal.SIGKILL
    last = run(broken)
    assert last.code == 0 and any("Went on from" in sentence for sentence in last.told())
    assert Result.of(tmp_path / "broken") == Result.of(tmp_path / "whole")


def test_a_killed_process_leaves_nothing_where_nobody_would_clean_up(
    job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    assert run(job("killed"), {3: kill}).code == -signal.SIGKILL
    assert list(temporary.iterdir()) == []
    # Beside the artifact, in what a later attempt begins by emptying.
    assert [path.name[:9] for path in (tmp_path / "killed").glob(".*")] == [".trainer-"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_end_it_saves_and_says_where_it_goes_on(
    number: signal.Signals, code: int, job: MakeJob, whole: Result, tmp_path: Path
) -> None:
    asked = job("asked", training={"checkpoint_steps": None})
    at: dict[int, float] = {}

    def ask(process: Forked) -> None:
        at[0] = time.monotonic()
        process.send_signal(number)

    # At step 3 the loss on tune is due, at step 4 it is not.
    first = run(asked, {3: ask})
    assert time.monotonic() - at[0] < 10
    assert first.code == code
    (said,) = first.told()
    assert number.name in said and "the same command goes on from there" in said
    second = run(asked, {4: ask} if "step 3" in said else {5: ask})
    assert second.code == code
    third = run(asked)
    assert third.code == 0
    assert Result.of(tmp_path / "asked") == whole


def test_a_full_disk_leaves_the_last_good_checkpoint_and_training_goes_on(
    job: MakeJob, whole: Result, tmp_path: Path
) -> None:
    # The limit allows no more than a third of what a checkpoint's weights take, from step 3 on.
    limited = job("limited", largest_file_bytes=100_000, spare_after=3)
    first = run(limited)
    assert "step 7" in first.lines and first.code == 1
    # The adapter is larger than that too, and without it there is no end.
    assert [line for line in first.lines if line.startswith("error ArtifactUnwrittenError")]
    assert ["could not be written" in sentence for sentence in first.told()] == [True]
    assert {path.name for path in (tmp_path / "limited" / "checkpoints").iterdir()} == {"step-000002"}
    last = run(job("limited"))
    assert last.code == 0 and "Went on from the checkpoint of step 2." in last.told()
    assert Result.of(tmp_path / "limited") == whole


def test_a_full_file_system_is_survived_alike(job: MakeJob, whole: Result, tmp_path: Path) -> None:
    """A real file system of 300 kB, which holds no checkpoint; needs root."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tiny)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    try:
        full = run(job("full", checkpoints=str(tiny / "checkpoints")))
        assert full.code == 0
        assert ["No space left" in sentence for sentence in full.told()] == [True]
        assert list((tiny / "checkpoints").iterdir()) == []
        assert Result.of(tmp_path / "full") == whole
    finally:
        subprocess.run(["umount", str(tiny)], check=True)


@pytest.fixture
def long_rows(encoded: Encoded, tmp_path: Path) -> str:
    """64 rows of 128 tokens, so that what a step takes is the micro-batch's doing."""
    from datasets import Dataset

    folder = tmp_path / "long"
    for name, rows in (("train", encoded.train), ("tune", encoded.tune)):
        ids = [token for row in rows["input_ids"] for token in row]
        made = [ids[at : at + 128] for at in range(0, 64 * 8, 8)]
        Dataset.from_dict({"input_ids": made, "labels": list(rows["labels"])[:64]}).save_to_disk(
            folder / name
        )
    return str(folder)


LONG: dict[str, Any] = {"effective_batch_size": 32, "micro_batch_size": 32, "max_steps": 3, "curve_points": 1}


def test_where_memory_runs_out_fewer_rows_at_once_give_the_same_step(
    job: MakeJob, long_rows: str, still: str, tmp_path: Path
) -> None:
    """A real limit on the address space, from step 1 on; no dropout, so that the rows alone decide."""
    options = {"rows": long_rows, "base": still, "training": {**LONG, "checkpoint_steps": 2}}
    assert run(job("whole", **options)).code == 0
    short = run(job("short", **options, spare_after=1, spare_bytes=200 * 2**20))
    assert short.code == 0, short.lines
    said = short.told()
    assert len(said) >= 1 and all(re.match(r"Memory ran out at step [23] with", line) for line in said)
    conditions = json.loads((tmp_path / "short" / "conditions.json").read_bytes())
    assert conditions["micro_batch_size"] in (4, 8, 16) and conditions["incidents"] == said
    whole_curve, curve = (Result.of(tmp_path / name).curve for name in ("whole", "short"))
    for ours, expected in zip(curve, whole_curve, strict=True):
        assert ours["tune_loss"] == pytest.approx(expected["tune_loss"], rel=1e-4)
        assert ours["train_loss"] == (
            expected["train_loss"] and pytest.approx(expected["train_loss"], rel=1e-4)
        )


def test_after_memory_ran_out_a_killed_process_goes_on_with_fewer_rows(
    job: MakeJob, long_rows: str, tmp_path: Path
) -> None:
    training = {**LONG, "checkpoint_steps": 2}
    limited = job("short", rows=long_rows, training=training, spare_after=1, spare_bytes=200 * 2**20)
    assert run(limited, {3: kill}).code == -signal.SIGKILL
    last = run(job("short", rows=long_rows, training=training))
    assert last.code == 0 and "Went on from the checkpoint of step 2." in last.told()
    conditions = json.loads((tmp_path / "short" / "conditions.json").read_bytes())
    assert conditions["micro_batch_size"] < 32 and conditions["resumed_from_steps"] == [2]


def test_where_not_one_row_fits_the_error_says_what_would_help(job: MakeJob, long_rows: str) -> None:
    ended = run(job("none", rows=long_rows, training=LONG, spare_after=1, spare_bytes=-16 * 2**20))
    assert ended.code == 1
    errors = [line for line in ended.lines if line.startswith("error")]
    assert errors == ["error TrainingMemoryError Memory ran out at step 2, with one row at a time."]
    assert any("to do:" in line and "max_tokens" in line for line in ended.lines)


@pytest.fixture
def still(encoded: Encoded, tmp_path: Path) -> str:
    """The small model without dropout."""
    copy = tmp_path / "still"
    shutil.copytree(encoded.base, copy)
    config = json.loads((copy / "config.json").read_bytes())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(copy)


# What ends a training before its last step.

RISING: dict[str, Any] = {
    # At this rate the loss on tune falls, and rises again.
    "max_steps": 24,
    "effective_batch_size": 16,
    "micro_batch_size": 16,
    "curve_points": 12,
    "warmup_share": 0.0,
    "early_stopping_points": 2,
}


@pytest.mark.parametrize("full", [False, True])
def test_stopped_early_it_keeps_the_weights_of_the_best_point(
    full: bool, encoded: Encoded, tmp_path: Path
) -> None:
    rate = 3e-3 if full else 3e-2
    fitted = train(encoded, tmp_path, full=full, training=RISING, learning_rate=rate)
    losses = {point.step: point.tune_loss for point in fitted.curve}
    assert fitted.stopped_early and fitted.steps < 24
    assert fitted.kept_step == min(list(losses)[1:], key=losses.__getitem__) == fitted.steps - 4
    # What was saved is what was best: it is loaded and asked once more.
    measured = tune_loss(encoded, tmp_path / "artifact", full)
    assert measured == pytest.approx(losses[fitted.kept_step], abs=2e-3)
    assert measured < losses[fitted.steps] - 5e-3


def test_a_training_broken_off_after_its_best_point_keeps_it(encoded: Encoded, tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    options: dict[str, Any] = {"training": {**RISING, "checkpoint_steps": 1}, "learning_rate": 3e-2}
    whole = train(encoded, tmp_path / "whole", **options)
    with pytest.raises(KilledError):
        # The checkpoint of the step before holds the best weights beside the current ones.
        train(encoded, tmp_path / "broken", **options, kill_at=whole.kept_step + 2)
    broken = train(encoded, tmp_path / "broken", **options)
    assert broken.conditions.resumed_from_steps == (whole.kept_step + 1,)
    assert Result.of(tmp_path / "broken") == Result.of(tmp_path / "whole")
    assert (broken.kept_step, broken.stopped_early) == (whole.kept_step, True)


def test_a_loss_that_explodes_stops_with_the_step(encoded: Encoded, tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match=r"stopped at step \d+ of \d+: for 10 steps the loss"):
        explosive = {**RISING, "max_steps": 40, "early_stopping_points": None}
        train(encoded, tmp_path, full=True, training=explosive, learning_rate=0.3)


def tune_loss(encoded: Encoded, artifact: Path, full: bool) -> float:
    import numpy as np

    table = score(
        base=encoded.base,
        artifact=artifact,
        rung=Rung.FULL if full else Rung.LORA,
        head=encoded.head,
        rows=encoded.tune,
        tokenizer=encoded.tokenizer,
        generation=GenerationSettings(),
    )
    return float(np.mean(table.scores["cross_entropy"]))
