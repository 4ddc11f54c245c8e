"""Training here, or in several processes that torchrun starts; whoever asks cannot tell by the result."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from data_contracts import errors
from data_contracts.errors import BrokenOffError, Problem, ProcessesFailedError, TrainingStopped
from data_contracts.progress import Progress, Tell
from data_contracts.records.settings import ComputeSettings
from tasks.evidence.checkpoints import CheckpointFolder
from tasks.training.fit import Fitted, fit
from tasks.training.inputs import TrainingInputs
from tasks.training.job import FAULT, RESULT, TrainingJob, write_job
from tasks.training.quiet import quiet_libraries

_TIME_TO_SAVE_SECONDS = 24 * 3600
_ENDED_BY_SIGNAL = re.compile(r"Signal \d+ \((SIG[A-Z]+)\) received by PID")
_LAST_LINES = 5
"""Of what the processes wrote to standard error, where one ended without saying why."""


def fit_on(
    compute: ComputeSettings,
    given: TrainingInputs,
    *,
    artifact: Path,
    checkpoints: CheckpointFolder | None = None,
    progress: Progress,
    tell: Tell,
) -> Fitted:
    """``fit`` in this process, or in as many as ``compute`` says.

    Raises:
        BrokenOffError: one of this host's was killed, and no other host takes part.
        ProcessesFailedError: one of them ended without a reason of ours.
        Whatever ``fit`` raises.
    """
    if compute.world_size == 1:
        return fit(given, artifact=artifact, checkpoints=checkpoints, progress=progress, tell=tell)
    kept = checkpoints.root if checkpoints else None
    job = TrainingJob.of(given, artifact=artifact, checkpoints=kept)
    # Beside the artifact, because every host must see it.
    with tempfile.TemporaryDirectory(prefix=".job-", dir=job.artifact.parent) as folder:
        with quiet_libraries():
            write_job(Path(folder), job, given)
        _run(Path(folder), compute, progress, tell)
        return TypeAdapter(Fitted).validate_json((Path(folder) / RESULT).read_bytes())


def torchrun(folder: Path, compute: ComputeSettings) -> list[str]:
    """The command that starts this host's processes; on several hosts the same on each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(compute.processes)]
    if compute.hosts == 1:
        # They find one another by a file: torchrun's own store would listen on every address.
        meeting = ["--nnodes", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", str(folder / "rendezvous")]
        meeting += ["--rdzv-conf", "store_type=file"]
    else:
        assert compute.rendezvous is not None
        meeting = ["--nnodes", str(compute.hosts), "--rdzv-backend", "c10d"]
        meeting += ["--rdzv-endpoint", compute.rendezvous, "--rdzv-conf", "join_timeout=3600"]
    # Unset, torchrun kills after half a minute whoever is still saving.
    meeting += ["--shutdown-timeout", str(_TIME_TO_SAVE_SECONDS)]
    return [*command, *meeting, "--rdzv-id", folder.name, "-m", "tasks.stages.worker", str(folder)]


def _run(folder: Path, compute: ComputeSettings, progress: Progress, tell: Tell) -> None:
    command = torchrun(folder, compute)
    if compute.hosts > 1:
        tell(f"Waiting for {compute.hosts - 1} more hosts; on each, start: {' '.join(command)}")
    environment = {**os.environ, "OMP_NUM_THREADS": _threads(compute)}
    if compute.hosts == 1:
        environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    with (folder / "stderr.txt").open("wb") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=environment
        )
        assert process.stdout is not None
        with _passing_on_signals(process) as came:
            for line in process.stdout:
                _hear(line, progress, tell)
            code = process.wait()
    # Asked to end when all was done, torchrun calls it a failure all the same.
    if code and not (folder / RESULT).exists():
        raise _fault(folder, code, came, alone=compute.hosts == 1)
    if came:
        signal.raise_signal(came[0])


def _threads(compute: ComputeSettings) -> str:
    """Of the processor, for each process: its share, unless somebody said otherwise."""
    return os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // compute.processes))


def _hear(line: bytes, progress: Progress, tell: Tell) -> None:
    try:
        event = json.loads(line)
    except ValueError:
        return  # a library's own words
    if isinstance(event, dict) and "progress" in event:
        done, total, what = event["progress"]
        progress(done, total, what)
    elif isinstance(event, dict) and "told" in event:
        tell(event["told"])


@contextmanager
def _passing_on_signals(process: "subprocess.Popen[bytes]") -> Iterator[list[int]]:
    """Inside, SIGTERM and SIGINT go to the processes, which save and leave, and not to this one.

    Yields those that came, in their order.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def pass_on(number: int, frame: object) -> None:
        came.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fault(folder: Path, code: int, came: list[int], *, alone: bool) -> BaseException:
    """What the processes say went wrong, as this process would have said it."""
    try:
        fault = json.loads((folder / FAULT).read_bytes())
    except (OSError, ValueError):
        if came:
            # Too late to be heeded by the training, whose processes were writing the artifact.
            after = "the same command goes on from the last checkpoint"
            return TrainingStopped(
                f"Stopped by {signal.Signals(came[0]).name}: {after}.", signal_number=came[0]
            )
        said = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace").strip()
        lines = said.splitlines()
        told = "\n".join(f"    {line}" for line in lines[-_LAST_LINES:]) or "    nothing"
        # Several hosts are started by people, who would not know that they are waited for.
        kind = BrokenOffError if alone and _some_was_killed(said) else ProcessesFailedError
        return kind(
            f"A process of several that train together ended with exit code {code}. It said last:\n{told}\n"
            "    to do:    run again, which goes on from the last checkpoint; with compute.processes 1 the "
            "reason is easier to see"
        )
    if fault["signal_number"] is not None:
        return TrainingStopped(fault["message"], signal_number=fault["signal_number"])
    named: Callable[..., BaseException] = getattr(errors, fault["kind"])
    if fault["problems"]:
        return named([Problem(**problem) for problem in fault["problems"]])
    return named(fault["message"])


def _some_was_killed(said: str) -> bool:
    """Whether torchrun reports a signal that nobody sends to ask for an end: the system's, where memory ran
    out, or a fault of a library's. The others end by an exception of their own after it."""
    return bool({*_ENDED_BY_SIGNAL.findall(said)} - {"SIGTERM", "SIGINT"})
