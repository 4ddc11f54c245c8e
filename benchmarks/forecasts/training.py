"""One training in a process of its own: ``python -m benchmarks.forecasts.training FOLDER CONFIGURATION``.

Prints one JSON document: peak resident memory in bytes, and processor seconds a step.
"""

import importlib
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_STEPS = 4
_SEED = 1


def main() -> None:
    folder, configuration = Path(sys.argv[1]), json.loads(sys.argv[2])
    rung = _rung(configuration)
    # What a run has loaded when it trains.
    for name in ("flows.finetune", "great_expectations"):
        importlib.import_module(name)
    trained, times = _train(folder, configuration, rung)
    # The first step warms up.
    steps = [after - before for before, after in itertools.pairwise(times[:_STEPS])]
    print(
        json.dumps(
            {
                "peak_memory_bytes": _peak_bytes(),
                "trained_parameters": trained,
                "processor_seconds_a_step": round(sum(steps) / len(steps), 3) if steps else None,
            }
        )
    )


def _train(folder: Path, configuration: dict[str, Any], rung: Any) -> tuple[int, list[float]]:
    from benchmarks.forecasts.configurations import MODELS
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import TrainingSettings
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head

    task = Task(MODELS[configuration["model"]].task)
    labels = tuple("abcdef") if task is Task.CLASSIFICATION else ()
    times: list[float] = []
    rows = configuration["rows"]
    with tempfile.TemporaryDirectory() as artifact:
        fitted = fit(
            TrainingInputs(
                base=folder,
                base_name="benchmark",
                base_digest="sha256:" + "0" * 64,
                head=Head(task=task, labels=labels, pad_token_id=0),
                rung=rung,
                train=_rows(folder, configuration, task, 4 * rows * configuration["accumulated"]),
                tune=_rows(folder, configuration, task, configuration["tune_rows"]),
                tokenizer=_Tokenizer(),
                training=TrainingSettings(
                    max_steps=_STEPS,
                    effective_batch_size=rows * configuration["accumulated"],
                    micro_batch_size=rows,
                    curve_points=1,
                ),
                learning_rate=1e-4,
                seed=_SEED,
            ),
            artifact=Path(artifact) / "artifact",
            progress=lambda *_: times.append(time.process_time()),
        )
    return fitted.trainable_parameters, times


class _Tokenizer:
    """Random ids need no tokenizer but its padding."""

    pad_token_id = 0

    def save_pretrained(self, folder: Path) -> None:
        """Random models have none to save."""


def _rung(configuration: dict[str, Any]) -> Any:
    from benchmarks.laboratory import laboratory_rung
    from data_contracts.records.settings import FullSettings, PilotSettings
    from tasks.training.rungs import PilotRung

    name, rank = configuration["rung"], configuration["rank"]
    if name in ("full", "layers"):
        digest = "sha256:" + "0" * 64
        settings = FullSettings.model_validate({"method": name})
        return laboratory_rung(
            snapshot=digest, base_model=digest, policy=digest, seed=_SEED, settings=settings
        )
    return PilotRung(PilotSettings.model_validate({"method": name, "rank": rank, "alpha": 2 * rank}))


def _rows(folder: Path, configuration: dict[str, Any], task: Any, count: int) -> Any:
    import datasets
    import numpy as np

    vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    random = np.random.default_rng(0)
    ids = [
        random.integers(5, vocabulary, size=configuration["tokens"] - index % 3).tolist()
        for index in range(count)
    ]
    labels = [index % 6 for index in range(count)] if task.value == "classification" else ids
    return datasets.Dataset.from_dict({"input_ids": ids, "labels": labels})


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell a process's peak memory")


if __name__ == "__main__":
    main()
