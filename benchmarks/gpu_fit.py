"""lorafirst's own trainings on one NVIDIA GPU: do they fit in what was forecast, and how fast are they?

    python -m benchmarks.gpu_fit            # every case; writes gpu_fit.json
    python -m benchmarks.gpu_fit --tiny     # the same paths with a tiny shape without one; writes nothing

Llama shapes with random weights on disk, rows of random tokens as long as said, each case in a process of its
own. Beside the peak (what torch had allocated at most, and what the process holds of the card beside it)
stands the forecast that the fit gate would make of the same settings. What the forecast knows of GPUs was
measured on the shapes 1B and 8B; 3B and the longer rows were looked at afterwards. Tokens a second leave out
the first two steps. Shapes are those of ``benchmarks.gpu``, whose bare loop is what the speed compares with.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu import GIB, RANK, SHAPES, machine
from data_contracts.records.settings import Precision

RESULT = Path(__file__).with_name("gpu_fit.json")
DIGEST = "sha256:" + "0" * 64
STEPS, UNCOUNTED = 6, 2


@dataclass(frozen=True)
class Case:
    """One training."""

    shape: str
    method: str
    precision: Precision
    rows: int
    """In memory at once."""
    tokens: int
    """Of each row."""
    accumulated: int = 1
    """Micro-batches a step."""

    @property
    def name(self) -> str:
        return f"{self.shape} {self.method} {self.precision} {self.accumulated}x{self.rows}x{self.tokens}"


BF16, FP32 = Precision.BFLOAT16, Precision.FLOAT32
CASES = (
    Case("1B", "lora", BF16, 4, 2048),
    Case("1B", "lora", BF16, 8, 512, accumulated=2),
    Case("1B", "dora", BF16, 4, 1024),
    Case("1B", "qlora", BF16, 4, 2048),
    Case("1B", "full", BF16, 4, 1024),
    Case("1B", "lora", FP32, 4, 1024),
    Case("1B", "full", FP32, 2, 1024, accumulated=2),
    Case("8B", "lora", BF16, 2, 1024),
    Case("8B", "qlora", BF16, 2, 1024),
    Case("1B", "adalora", BF16, 8, 256),
    # From here on: not looked at when the forecast's constants were set.
    Case("3B", "lora", BF16, 2, 2048),
    Case("3B", "qlora", BF16, 4, 1024),
    Case("3B", "full", BF16, 1, 1024, accumulated=2),
    Case("1B", "adalora", BF16, 4, 1024),
    Case("1B", "adapter", BF16, 4, 1024),
    Case("1B", "lora", FP32, 1, 3072),
    Case("8B", "lora", BF16, 1, 4096),
)
TINY = (
    Case("tiny", "lora", BF16, 2, 32),
    Case("tiny", "qlora", BF16, 2, 32, accumulated=2),
    Case("tiny", "full", FP32, 2, 32),
)


class NoTokenizer:
    """Random ids need none but its padding."""

    pad_token_id = 0

    def save_pretrained(self, folder: Path) -> None:
        """There is none to save."""


def write_base(shape: str, folder: Path) -> Path:
    """A model of the shape with random weights, stored in 16 bits as such models are."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    base = folder / shape
    if not base.exists():
        configuration = LlamaConfig(**SHAPES[shape], max_position_embeddings=4096)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(configuration, dtype=torch.bfloat16)
        model.save_pretrained(base)
    return base


def random_rows(vocabulary: int, count: int, tokens: int) -> Any:
    import datasets
    import numpy as np

    ids = np.random.default_rng(17).integers(1, vocabulary, size=(count, tokens)).tolist()
    return datasets.Dataset.from_dict({"input_ids": ids, "labels": ids})


def train(case: Case, base: Path) -> dict[str, Any]:
    """One training through ``fit``, as a run would have it."""
    import torch

    from benchmarks.laboratory import laboratory_rung
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import PilotSettings, TrainingSettings
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung

    vocabulary, rows = SHAPES[case.shape]["vocab_size"], case.rows * case.accumulated
    rung: Any = PilotRung(PilotSettings(method=case.method, rank=RANK, alpha=2 * RANK))
    if case.method == "full":
        rung = laboratory_rung(snapshot=DIGEST, base_model=DIGEST, policy=DIGEST, seed=17)
    marks: list[float] = []

    def progress(done: int, total: int, what: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        fitted = fit(
            TrainingInputs(
                base=base,
                base_name="benchmark",
                base_digest=DIGEST,
                head=Head(Task.INSTRUCTION, (), pad_token_id=0, precision=case.precision),
                rung=rung,
                train=random_rows(vocabulary, rows * STEPS, case.tokens),
                tune=random_rows(vocabulary, 4, case.tokens),
                tokenizer=NoTokenizer(),
                training=TrainingSettings(
                    max_steps=STEPS, effective_batch_size=rows, micro_batch_size=case.rows, curve_points=1
                ),
                learning_rate=1e-5,
                seed=17,
            ),
            artifact=Path(scratch) / "artifact",
            progress=progress,
        )
    # The last mark may come after the evaluation that follows the last step.
    seconds = marks[STEPS - 2] - marks[UNCOUNTED - 1]
    counted = (STEPS - 1 - UNCOUNTED) * rows * case.tokens
    found: dict[str, Any] = {
        "tokens_per_second": round(counted / seconds, 1),
        "micro_batch_size": fitted.conditions.micro_batch_size,
        "incidents": fitted.conditions.incidents,
        "layout": fitted.seen.layout,
        "loss_on_tune": [round(point.tune_loss, 3) for point in fitted.curve],
    }
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        reserved = torch.cuda.memory_reserved()
        found |= {
            "allocated_gib": round(torch.cuda.max_memory_allocated() / GIB, 2),
            "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2),
            "beside_torch_gib": round((total - free - reserved) / GIB, 2),
        }
        # What was reserved beyond it torch gives back before it runs out.
        found["peak_gib"] = round(found["allocated_gib"] + found["beside_torch_gib"], 2)
    return found


def foreseen(case: Case, base: Path) -> dict[str, Any]:
    """What the fit gate would say of it."""
    import torch

    from tasks.decisions.forecast import Batch, Method, forecast, shape_of, system_for

    configuration = json.loads((base / "config.json").read_text(encoding="utf-8"))
    shape = shape_of(configuration, labels=0)
    assert shape is not None
    batch = Batch(case.rows, case.tokens, case.accumulated, evaluation_rows=4)
    system = system_for(configuration, on_gpu=torch.cuda.is_available(), precision=case.precision.value)
    found = forecast(shape, Method(case.method, rank=RANK), batch, system)
    parts = found.memory.model_dump(mode="json")
    return {
        "forecast_gib": round(found.needed_memory_bytes / GIB, 2),
        "forecast_parts_gib": {
            name.removesuffix("_bytes"): round(value / GIB, 2) if isinstance(value, int) else value
            for name, value in parts.items()
        },
    }


def one(case: Case, folder: Path) -> dict[str, Any]:
    base = write_base(case.shape, folder)
    found = {**asdict(case), **train(case, base), **foreseen(case, base)}
    if "peak_gib" in found:
        found["forecast_over_peak"] = round(found["forecast_gib"] / found["peak_gib"], 3)
    return found


def apart(case: Case, folder: Path) -> dict[str, Any]:
    """In a process of its own, so that nothing of one case is in another's memory."""
    command = [sys.executable, "-m", "benchmarks.gpu_fit", "--case", case.name, "--work", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    if done.returncode:
        return {**asdict(case), "failed": done.stderr.strip().splitlines()[-4:]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny shape on the processor; writes nothing")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="one case, printed as JSON")
    parser.add_argument("--work", type=Path, help="where bases are kept")
    chosen = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.work or Path(scratch)
        if chosen.tiny:
            return {case.name: one(case, folder) for case in TINY}
        if chosen.case:
            (case,) = (each for each in CASES if each.name == chosen.case)
            print("\n" + json.dumps(one(case, folder)))
            return {}
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("no NVIDIA GPU here that torch can use; --tiny runs the same paths without")
        cases = {}
        for case in CASES:
            cases[case.name] = apart(case, folder)
            print(f"{case.name}: {cases[case.name]}", flush=True)
    result = {
        "what": "trainings by lorafirst of random Llama shapes, peak beside the forecast",
        "cases": cases,
        "machine": machine(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
