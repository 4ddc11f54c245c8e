"""How fast training is: the same rows by lorafirst, transformers, trl and LLaMA-Factory.

    python -m benchmarks.training --llamafactory /path/to/venv/bin/python
    python -m benchmarks.training --tiny        # every part in a minute or two; writes nothing

All arms of a cell train one model, in float32, on one thread and without checkpointing, with the same rank,
rate, schedule and optimizer, on the same rows in the same order and steps; what packs passes once over these
rows. Arms named "own order" draw their rows as their trainer does by default. ``trl`` comes with the extra
``benchmarks``; LLaMA-Factory needs older libraries than ours and therefore an environment of its own:

    python -m venv lf && lf/bin/pip install llamafactory==0.9.5 torch==2.13.0 bitsandbytes

(Where pip finds its torchvision and torchaudio for GPUs alone, uninstall both: text needs neither.)

Every run is a process of its own with nothing trained before, forked from one that has imported the
libraries. One meter for all (``training_arms.meter``) counts at ``Trainer.training_step`` and takes the loss
on rows that nobody trained on. Runs of the arms alternate; figures are medians of processor seconds, first
steps left out. Peak memory is the resident set of the training steps. The machine's matrix products are
measured in between.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.training_arms.figures import cell_of, lora_beside_full, supervised_per_second, where_time_goes
from benchmarks.training_arms.plan import ARMS, METHODS, OURS, SIZES, TINY, Size, job_of
from benchmarks.training_arms.processes import Run, Worker, own, start_workers, versions_of

RESULT = Path(__file__).with_name("training.json")


class Bench:
    """Runs jobs and keeps what they found."""

    def __init__(self, work: Path, workers: dict[str, Worker]) -> None:
        self.work = work
        self.workers = workers
        self.runs: dict[tuple[Size, str, str], list[Run]] = {}
        self.products: list[dict[str, Any]] = []
        self._rows: dict[Size, tuple[Path, Path, dict[str, Any]]] = {}

    def rows(self, size: Size) -> tuple[Path, Path, dict[str, Any]]:
        """Folders of the model and of the rows, and the lengths of the rows in tokens."""
        from benchmarks.training_arms.rows import MODELS, write_rows
        from tasks.training.order import training_order

        if size not in self._rows:
            model = MODELS[size.model](self.work)
            folder = self.work / "rows" / f"{size.model}, {size.length}"
            write_rows(
                folder,
                model,
                long=size.long,
                order=lambda lengths: training_order(
                    lengths, steps=size.steps, batch_size=size.effective_batch_size, seed=17
                ),
            )
            lengths = json.loads((folder / "lengths.json").read_text(encoding="utf-8"))
            self._rows[size] = model, folder, lengths
        return self._rows[size]

    def run(self, size: Size, method: str, name: str, *, profile: bool = False) -> Run | None:
        """One run of an arm; ``None`` where what it needs is not installed."""
        worker = self.workers.get(ARMS[name].runner)
        if worker is None:
            return None
        model, rows, lengths = self.rows(size)
        folder = self.work / "runs" / f"{size.model}, {size.length}, {method}, {name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job = job_of(
            size, method, name, model=model, rows=rows, folder=folder, mean_tokens=lengths["mean"],
            profile=profile,
        )  # fmt: skip
        job.write(folder / "job.json")
        found = worker.run(folder / "job.json")
        say(f"{folder.name}: {said(found, size)}")
        return found

    def measure(self, sizes: Sequence[Size], methods: Sequence[str]) -> None:
        """All cells, arm by arm, and again until each has its runs."""
        for number in range(max(size.runs for size in sizes)):
            self.products.append(own("limit"))
            say(f"matrix products: {self.products[-1]}")
            for size in sizes:
                for method in methods if number < size.runs else ():
                    for name in size.arms(method):
                        found = self.run(size, method, name)
                        if found is not None:
                            self.runs.setdefault((size, method, name), []).append(found)
        self.products.append(own("limit"))

    def adapter(self, size: Size) -> Path:
        """Our LoRA adapter of the last run."""
        return self.work / "runs" / f"{size.model}, {size.length}, lora, {OURS}" / "output" / "artifact"


def say(text: str) -> None:
    print(text, flush=True)


def said(run: Run, size: Size) -> str:
    return run["failed"] if "failed" in run else f"{supervised_per_second(run, size):.1f} supervised tokens/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--llamafactory", type=Path, help="the python of its environment")
    parser.add_argument(
        "--trl", type=Path, help="a folder trl can be imported from, where it is not installed"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--models", nargs="+", help="of these alone", choices=sorted({s.model for s in SIZES})
    )
    parser.add_argument("--tiny", action="store_true", help="a few steps of the small model; writes nothing")
    parser.add_argument("--work", type=Path, help="keeps models, rows and logs there")
    arguments = parser.parse_args()

    sizes: tuple[Size, ...] = TINY if arguments.tiny else SIZES
    if arguments.models:
        sizes = tuple(size for size in sizes if size.model in arguments.models)
    work = (arguments.work or Path(tempfile.mkdtemp(prefix="lorafirst-training-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    paths = [arguments.trl.resolve()] if arguments.trl else []
    # Not resolved: a virtual environment is known by the link to its interpreter.
    python = arguments.llamafactory.absolute() if arguments.llamafactory else None
    workers = start_workers(python, paths)
    bench = Bench(work, workers)
    found = measured(bench, sizes, arguments.methods)
    for worker in set(workers.values()):
        worker.close()
    found["peers"] = versions_of(python, paths)
    if not arguments.tiny:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)


def measured(bench: Bench, sizes: Sequence[Size], methods: Sequence[str]) -> dict[str, Any]:
    """Everything, as it is written."""
    from transformers import AutoConfig

    from benchmarks.machine import machine

    bench.measure(sizes, methods)
    products = {
        name: statistics.median(each["each"][name] for each in bench.products)
        for name in bench.products[0]["each"]
    }
    best = max(products.values())
    cells, profiles = {}, {}
    for size in sizes:
        model, _, lengths = bench.rows(size)
        for method in methods:
            cells[f"{size.model}, {size.length}, {method}"] = cell_of(
                {name: bench.runs[key] for name in ARMS if (key := (size, method, name)) in bench.runs},
                size,
                method=method,
                lengths=lengths,
                configuration=AutoConfig.from_pretrained(model),
                best_product=best,
            )
            run = bench.run(size, method, OURS, profile=True)
            if run is not None and "profile" in run:
                profiles[f"{size.model}, {size.length}, {method}"] = where_time_goes(run["profile"])
    found = {
        "what": "the same training by lorafirst and its peers, in float32 on one thread",
        "billions_of_operations_per_processor_second": products,
        "cells": cells,
        "where_lorafirst's_time_goes": profiles,
    }
    if {"lora", "full"} <= set(methods):
        model, rows, _ = bench.rows(sizes[-2])
        latency = own("latency", model, bench.adapter(sizes[-2]), rows / "judge.parquet")
        found["lora_beside_full"] = lora_beside_full(cells, latency)
    return {**found, "machine": machine("torch", "transformers", "peft", "bitsandbytes", "datasets")}


if __name__ == "__main__":
    main()
