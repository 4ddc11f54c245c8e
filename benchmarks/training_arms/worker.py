"""Runs jobs, each in a fork of its own that finds the heavy libraries already imported.

    python -m benchmarks.training_arms.worker torch transformers < paths

Each line read is the path of a job; its answer goes to ``result.json`` beside it and one word to the standard
output. A fork starts with the memory of an interpreter that has trained nothing, so peaks are an arm's own.
"""

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.training_arms.job import Job
from benchmarks.training_arms.meter import Meter


def run(path: Path) -> dict[str, Any]:
    """What one job did, measured by the one meter."""
    import torch

    # Unless told, bitsandbytes' own kernels take all cores.
    torch.set_num_threads(1)
    job = Job.read(path)
    began = time.process_time()
    judge = Path(job.rows) / "judge.parquet"
    meter = Meter(judge, before=job.judge_before, profile_after=1 if job.profile else None)
    meter.install()
    train = importlib.import_module(f"benchmarks.training_arms.{job.runner}").train
    said = train(job)
    return {**meter.figures(), **said, "processor_seconds_of_all": time.process_time() - began}


def fork(path: Path) -> str:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return "done"
    log = os.open(path.with_name("log.txt"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        found = run(path)
    except BaseException as error:
        traceback.print_exc()
        found = {"failed": f"{type(error).__name__}: {error}"[:300]}
    path.with_name("result.json").write_text(json.dumps(found), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main(modules: list[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        print(fork(Path(line.strip())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
