"""Training by two processes: the same losses, and checkpoints that move between one process and two."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.laboratory import laboratory_rung
from data_contracts.errors import (
    BrokenOffError,
    InputError,
    LorafirstError,
    PermitRefusedError,
    ProcessesFailedError,
    TrainingStopped,
)
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import ComputeSettings, PilotSettings, TrainingSettings
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.evidence.checkpoints import CheckpointFolder
from tasks.stages import processes
from tasks.stages.processes import fit_on, torchrun
from tasks.training.fit import Fitted
from tasks.training.loading import Head, load_served
from tasks.training.rungs import FullRung, PilotRung
from tests.forked import Forked
from tests.tasks.training.conftest import Encoded, given_of
from tests.tasks.training.conftest import encoded as encoded
from tests.tasks.training.methods.conftest import decoder as decoder
from tests.tasks.training.test_fit import DIGEST

pytestmark = pytest.mark.slow

STEPS = 8
TRAINING: dict[str, Any] = {
    "max_steps": STEPS,
    "effective_batch_size": 16,
    "micro_batch_size": 4,
    "curve_points": 4,
    "checkpoint_steps": 2,
}


@pytest.fixture(scope="module")
def rows(decoder: Encoded, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """With the tokenizer beside the model, where each process looks for it, and an odd number of rows."""
    base = tmp_path_factory.mktemp("processes") / "base"
    shutil.copytree(decoder.base, base)
    decoder.tokenizer.save_pretrained(base)
    return replace(decoder, base=base, tune=decoder.tune.select(range(13)))


def rung(method: str) -> PilotRung | FullRung:
    if method == "full":
        return laboratory_rung(snapshot=DIGEST, base_model=DIGEST, policy=DIGEST, seed=5)
    return PilotRung(PilotSettings(method=Rung(method), rank=4, alpha=8))


def train(
    rows: Encoded,
    folder: Path,
    processes: int,
    method: str = "lora",
    *,
    asked: PilotRung | FullRung | None = None,
    training: dict[str, Any] | None = None,
    checkpoints: CheckpointFolder | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Fitted:
    folder.mkdir(exist_ok=True)
    settings = TrainingSettings(**{**TRAINING, **(training or {})})
    return fit_on(
        ComputeSettings(processes=processes),
        given_of(rows, asked or rung(method), training=settings, learning_rate=3e-3),
        artifact=folder / "artifact",
        checkpoints=checkpoints,
        progress=progress,
        tell=lambda sentence: None,
    )


def losses(fitted: Fitted) -> np.ndarray:
    points = [value for point in fitted.curve for value in (point.train_loss, point.tune_loss)]
    return np.array([value for value in points if value is not None])


def logits(rows: Encoded, folder: Path, method: str) -> np.ndarray:
    import torch

    model = load_served(rows.base, folder / "artifact", rows.head, Rung(method))
    with torch.inference_mode():
        answered = model(input_ids=torch.tensor(rows.tune["input_ids"][:4])).logits
    return np.asarray(answered.double().numpy())


@dataclass(frozen=True)
class Watched:
    """A training by two processes, and what was seen of it on the way."""

    folder: Path
    fitted: Fitted
    steps: list[int]
    listening: set[str]
    """Addresses at which its processes could be called."""


ByTwo = Callable[[str], Watched]


@pytest.fixture(scope="module")
def by_two(rows: Encoded, tmp_path_factory: pytest.TempPathFactory) -> ByTwo:
    """Trains each method once."""

    @functools.cache
    def once(method: str) -> Watched:
        folder = tmp_path_factory.mktemp("two") / method
        steps: list[int] = []
        listening: set[str] = set()

        def look(done: int, total: int, what: str) -> None:
            steps.append(done)
            listening.update(_addresses_of(_descendants(os.getpid())))

        return Watched(folder, train(rows, folder, 2, method, progress=look), steps, listening)

    return once


def _addresses_of(processes: set[int]) -> Iterator[str]:
    told = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    for line in told.splitlines():
        if processes & {int(number) for number in re.findall(r"pid=(\d+)", line)}:
            yield line.split()[3].rpartition(":")[0]


@pytest.mark.parametrize(("method", "sharded"), [("full", True), ("lora", True), ("qlora", False)])
def test_two_processes_train_as_one_does(
    rows: Encoded, by_two: ByTwo, method: str, sharded: bool, tmp_path: Path
) -> None:
    one, two = train(rows, tmp_path / "one", 1, method), by_two(method).fitted
    assert losses(one) == pytest.approx(losses(two), rel=1e-5)
    assert np.ptp(losses(two)) > 0.05  # it learnt
    assert (two.conditions.processes, two.conditions.sharded) == (2, sharded)
    assert (one.rows_seen, one.supervised_tokens) == (two.rows_seen, two.supervised_tokens)
    assert (one.trainable_parameters, one.total_parameters) == (
        two.trainable_parameters,
        two.total_parameters,
    )
    folders = (tmp_path / "one", by_two(method).folder)
    of_one, of_two = (logits(rows, folder, method) for folder in folders)
    assert np.abs(of_one - of_two).max() < 1e-4
    files = [{path.name for path in (folder / "artifact").iterdir()} for folder in folders]
    assert files[0] == files[1]
    assert two.earlier.peak_memory_bytes > 2**28  # of both together


def test_progress_is_heard_here(by_two: ByTwo) -> None:
    assert by_two("lora").steps == list(range(1, STEPS + 1))


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_nothing_listens_beyond_loopback(by_two: ByTwo, method: str) -> None:
    assert by_two(method).listening == {"127.0.0.1"}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_checkpoints_move_from_one_process_to_two_and_back(
    rows: Encoded, method: str, tmp_path: Path
) -> None:
    longer = {"max_steps": 60, "epochs": 6}  # left to go when the request has reached every process
    whole = train(rows, tmp_path / "whole", 1, method, training=longer)
    place = CheckpointFolder(tmp_path / "checkpoints")
    # The same schedule, left twice by a request to end.
    options: dict[str, Any] = {"training": longer, "checkpoints": place}
    for count, step in ((1, 4), (2, 10)):
        asked = _asks_to_end_at(step)
        with pytest.raises(TrainingStopped, match=r"saved at step \d+ of 60"):
            train(rows, tmp_path / "moved", count, method, **options, progress=asked)
    moved = train(rows, tmp_path / "moved", 1, method, **options)
    first, second = moved.conditions.resumed_from_steps
    assert first == 4 and second >= 10
    assert losses(moved) == pytest.approx(losses(whole), rel=1e-4)


def test_two_processes_that_go_on_draw_the_dropout_that_they_would_have_drawn(
    encoded: Encoded, tmp_path: Path
) -> None:
    """Each has its own random numbers, since the rows of a micro-batch are of other lengths in each."""
    base = tmp_path / "base"
    shutil.copytree(encoded.base, base, dirs_exist_ok=True)
    encoded.tokenizer.save_pretrained(base)
    rows, longer = replace(encoded, base=base), {"max_steps": 20}
    whole = train(rows, tmp_path / "whole", 2, training=longer)
    options: dict[str, Any] = {"training": longer, "checkpoints": CheckpointFolder(tmp_path / "checkpoints")}
    with pytest.raises(TrainingStopped, match=r"saved at step \d+ of 20"):
        train(rows, tmp_path / "again", 2, **options, progress=_asks_to_end_at(4))
    again = train(rows, tmp_path / "again", 2, **options)
    assert again.conditions.resumed_from_steps and again.conditions.resumed_from_steps[0] >= 4
    adapter = "artifact/adapter_model.safetensors"
    assert (tmp_path / "again" / adapter).read_bytes() == (tmp_path / "whole" / adapter).read_bytes()
    # The sum of losses since the last point is kept as a mean over the processes, which rounds.
    assert losses(again) == pytest.approx(losses(whole), rel=1e-6)


def test_asked_to_end_when_all_is_done_nothing_failed_and_the_request_is_delivered(
    late: Callable[[str], None],
) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        late("(folder / 'fitted.json').write_text('{}')")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [signal.SIGTERM]


def test_asked_to_end_after_the_last_step_it_ends_as_asked(late: Callable[[str], None]) -> None:
    with pytest.raises(TrainingStopped, match="Stopped by SIGTERM: the same command goes on") as stopped:
        late("pass")
    assert stopped.value.signal_number == signal.SIGTERM


@pytest.mark.parametrize(
    ("hosts", "ends_by", "kind"),
    [
        (1, "os.kill(os.getpid(), signal.SIGKILL)", BrokenOffError),
        (1, "raise ValueError('a fault of ours')", ProcessesFailedError),
        (2, "os.kill(os.getpid(), signal.SIGKILL)", ProcessesFailedError),
    ],
)
def test_one_that_was_killed_is_told_from_one_that_failed(
    hosts: int, ends_by: str, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what torchrun says of it; of several hosts nobody goes on by himself."""
    script = tmp_path / "ends.py"
    script.write_text(f"import os, signal\n{ends_by}\n", encoding="utf-8")
    command = [*torchrun(tmp_path, ComputeSettings(processes=2))[:-3], str(script)]
    monkeypatch.setattr(processes, "torchrun", lambda folder, compute: command)
    compute = ComputeSettings(
        processes=2, hosts=hosts, rendezvous="first.example:29500" if hosts > 1 else None
    )
    with pytest.raises(LorafirstError) as failed:
        processes._run(tmp_path, compute, lambda done, total, what: None, lambda sentence: None)
    assert type(failed.value) is kind, failed.value


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Processes that have taken their last step, do what is given, and are then asked to end."""

    def run(done: str) -> None:
        told = "print(json.dumps({'progress': [8, 8, 'train']}), flush=True)"
        folder = f"folder = pathlib.Path({str(tmp_path)!r})"
        script = "\n".join(["import json, pathlib, time", folder, done, told, "time.sleep(60)"])
        monkeypatch.setattr(processes, "torchrun", lambda folder, compute: [sys.executable, "-c", script])
        processes._run(tmp_path, ComputeSettings(processes=2), _asks_to_end_at(8), lambda sentence: None)

    return run


def _asks_to_end_at(step: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return progress


def _descendants(parent: int) -> set[int]:
    children = {
        int(entry.name): int(re.findall(r"PPid:\s+(\d+)", (entry / "status").read_text())[0])
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and (entry / "status").exists()
    }
    found, new = set[int](), {parent}
    while new:
        new = {child for child, its in children.items() if its in new} - found
        found |= new
    return found


def test_what_a_process_refuses_is_raised_here(rows: Encoded, tmp_path: Path) -> None:
    """A permit is read again by every process: one that covers other work does not pass there either."""
    permitted = rung("full")
    assert isinstance(permitted, FullRung)
    object.__setattr__(permitted, "snapshot", "sha256:" + "1" * 64)
    with pytest.raises(PermitRefusedError, match=r"this is snapshot sha256:1{64}"):
        train(rows, tmp_path / "two", 2, asked=permitted)
    with pytest.raises(InputError, match="a method that leaves the base frozen"):
        train(rows, tmp_path / "other", 2, asked=PilotRung(PilotSettings(method=Rung("lorax"))))
    assert not (tmp_path / "two" / "artifact").exists()


def test_a_process_that_is_killed_ends_the_training_with_what_to_do(rows: Encoded, tmp_path: Path) -> None:
    def kill_one(done: int, total: int, what: str) -> None:
        workers = sorted(
            number
            for number in _descendants(os.getpid())
            if b"tasks.stages.worker" in Path(f"/proc/{number}/cmdline").read_bytes()
            and b"torch.distributed.run" not in Path(f"/proc/{number}/cmdline").read_bytes()
        )
        if done == 3:
            os.kill(workers[-1], signal.SIGKILL)

    place = CheckpointFolder(tmp_path / "checkpoints")
    with pytest.raises(BrokenOffError, match="goes on from the last checkpoint"):
        train(rows, tmp_path / "two", 2, checkpoints=place, progress=kill_one)
    assert train(rows, tmp_path / "two", 1, checkpoints=place).conditions.resumed_from_steps == (2,)


def test_processes_leave_when_the_one_that_started_them_is_gone(rows: Encoded, tmp_path: Path) -> None:
    """Killed outright, it cannot tell them; they save and end all the same."""
    from datasets import Dataset

    assert isinstance(rows.train, Dataset)
    rows.train.save_to_disk(tmp_path / "train")
    rows.tune.save_to_disk(tmp_path / "tune")
    starter = Forked(_train_long, rows.base, tmp_path)
    for line in starter.stdout:
        if line.strip() == "step 3":
            break
    workers = _descendants(starter.pid)
    assert len(workers) >= 3  # torchrun and two
    starter.send_signal(signal.SIGKILL)
    starter.wait(60)
    gone = threading.Event()
    for _ in range(300):
        if not any(_alive(number) for number in workers):
            gone.set()
            break
        threading.Event().wait(0.1)
    assert gone.is_set()
    saved = CheckpointFolder(tmp_path / "checkpoints").find().newest
    assert saved is not None and saved.step >= 3


def _train_long(base: Path, folder: Path) -> None:
    from datasets import load_from_disk

    of_train, of_tune = (load_from_disk(folder / split) for split in ("train", "tune"))
    train(
        Encoded(base, Head(Task.INSTRUCTION, ()), load_tokenizer(base), of_train, of_tune),
        folder / "two",
        2,
        checkpoints=CheckpointFolder(folder / "checkpoints"),
        training={"max_steps": 400, "checkpoint_steps": None},
        progress=lambda done, total, what: print("step", done, flush=True),
    )


def _alive(number: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except OSError:
        return False


def test_several_hosts_start_with_the_same_command(tmp_path: Path) -> None:
    compute = ComputeSettings(processes=4, hosts=3, rendezvous="first.example:29500")
    command = " ".join(torchrun(tmp_path, compute))
    # Half a minute is torchrun's own, too short to finish a step and save.
    assert "--shutdown-timeout 86400" in command
    assert "--nnodes 3" in command and "--rdzv-endpoint first.example:29500" in command
    assert command.endswith(f"-m tasks.stages.worker {tmp_path}")
