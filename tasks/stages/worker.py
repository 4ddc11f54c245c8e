"""One of several processes that train together: ``torchrun -m tasks.stages.worker JOB``.

The job is a folder that ``tasks.training.job`` wrote. The first process tells how far it is, one JSON object
a line, and leaves ``fitted.json`` there; whoever fails leaves ``fault.json``.
"""

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from data_contracts.errors import InputError, LorafirstError, TrainingStopped
from tasks.evidence.checkpoints import CheckpointFolder
from tasks.evidence.files import write_atomically
from tasks.stages.measure import peak_memory_bytes
from tasks.training.job import FAULT, RESULT, TrainingJob, read_job

MEETING = "meeting"
"""File by which the processes of one host find one another; nothing listens for that."""


def main() -> None:
    folder = Path(sys.argv[1])
    _follow_parent()
    _meet(folder)
    import torch.distributed as distributed

    try:
        _train(folder, read_job(folder))
    except TrainingStopped as stopped:
        _leave(folder, stopped, signal_number=stopped.signal_number)
        sys.exit(stopped.exit_code)
    except LorafirstError as error:
        _leave(folder, error)
        sys.exit(1)
    distributed.destroy_process_group()


def _train(folder: Path, job: TrainingJob) -> None:
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.training.fit import Fitted, fit
    from tasks.training.sharding import is_first, total

    tells = is_first()
    # Refused before anything is read.
    job.rung()

    def progress(done: int, total: int, what: str) -> None:
        if tells:
            _say({"progress": [done, total, what]})

    def tell(sentence: str) -> None:
        if tells:
            _say({"told": sentence})

    fitted = fit(
        job.inputs(folder, load_tokenizer(job.base)),
        artifact=job.artifact,
        checkpoints=CheckpointFolder(job.checkpoints) if job.checkpoints else None,
        progress=progress,
        tell=tell,
    )
    # Of all processes together, which is what the training takes.
    peak = total(peak_memory_bytes())
    earlier = fitted.earlier.model_copy(update={"peak_memory_bytes": peak})
    if tells:
        write_atomically(folder / RESULT, TypeAdapter(Fitted).dump_json(replace(fitted, earlier=earlier)))


def _meet(folder: Path) -> None:
    """Joins the other processes: by a file on one host, at the rendezvous of torchrun on several."""
    import torch
    import torch.distributed as distributed

    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if os.environ["WORLD_SIZE"] == os.environ["LOCAL_WORLD_SIZE"]:
        # gloo binds where this says; loopback, unless told otherwise.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        meeting = (folder / MEETING).resolve().as_uri()
        distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=size)
    else:
        distributed.init_process_group(backend)


def _follow_parent() -> None:
    """Asks this process to end, and so to save, when the one that started the training is gone."""

    def follow() -> None:
        # Ends when the parent does, which never writes. By the number, because Python would wait for its own
        # reader's lock when this process ends before.
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    if os.environ.get("GROUP_RANK", "0") == "0":
        threading.Thread(target=follow, daemon=True).start()


def _leave(folder: Path, error: BaseException, *, signal_number: int | None = None) -> None:
    """The first process says why training was stopped, and whoever comes first why it failed."""
    from tasks.training.sharding import is_first

    if (folder / FAULT).exists() or (signal_number is not None and not is_first()):
        return
    problems = [p.model_dump() for p in error.problems] if isinstance(error, InputError) else []
    fault = {"kind": type(error).__name__, "message": str(error), "problems": problems}
    write_atomically(folder / FAULT, json.dumps({**fault, "signal_number": signal_number}).encode())


def _say(event: dict[str, Any]) -> None:
    # Whoever started the training may be gone, and it is to be saved all the same.
    with suppress(OSError):
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
