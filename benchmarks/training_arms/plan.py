"""What is compared with what: arms, cells, and how much each trains."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.training_arms.job import Job

METHODS = ("lora", "qlora", "full")
OURS = "lorafirst"
RANK = 16


@dataclass(frozen=True)
class Arm:
    """One way to train the rows of a cell."""

    runner: str
    options: dict[str, Any] = field(default_factory=dict)
    packed: bool = False
    """Passes once over the rows, in bins; on long rows, of which each fills a bin, it is left out."""
    rows_of_its_own: bool = False
    """Draws rows of the pool as its trainer does by default, so its batches pad more than ours."""
    everywhere: bool = False
    """Runs for every method, and on long rows too."""


ARMS: dict[str, Arm] = {
    OURS: Arm("ours", everywhere=True),
    "lorafirst, packing": Arm("ours", {"packing": "on"}),
    "transformers": Arm("plain", everywhere=True),
    "transformers, own order": Arm("plain", rows_of_its_own=True),
    "trl": Arm("trl_sft", everywhere=True),
    "trl, own order": Arm("trl_sft", rows_of_its_own=True),
    "trl, padding-free": Arm("trl_sft", {"padding_free": True, "max_length": None}),
    "trl, packing bfd": Arm("trl_sft", {"packing": True, "packing_strategy": "bfd"}, packed=True),
    "trl, packing wrapped": Arm("trl_sft", {"packing": True, "packing_strategy": "wrapped"}, packed=True),
    "LLaMA-Factory": Arm("llama_factory", everywhere=True),
    "LLaMA-Factory, packing": Arm("llama_factory", {"packing": True}, packed=True),
    "LLaMA-Factory, neat packing": Arm("llama_factory", {"packing": True, "neat_packing": True}, packed=True),
}


@dataclass(frozen=True)
class Size:
    """How much an arm trains on one model with rows of one length."""

    model: str
    long: bool
    steps: int
    uncounted: int
    """First optimizer steps, which are not counted."""
    effective_batch_size: int
    micro_batch_size: int
    runs: int

    @property
    def length(self) -> str:
        return "long rows" if self.long else "short rows"

    def arms(self, method: str) -> list[str]:
        """Names of the arms that run; the rest would repeat another or say nothing new."""
        return [
            name
            for name, arm in ARMS.items()
            if arm.everywhere or (not self.long and (method == "lora" or name.startswith("trl, packing")))
        ]


SIZES = (
    Size("random-10M", False, steps=8, uncounted=2, effective_batch_size=16, micro_batch_size=16, runs=2),
    Size("random-10M", True, steps=4, uncounted=1, effective_batch_size=4, micro_batch_size=4, runs=2),
    Size("SmolLM2-135M", False, steps=4, uncounted=1, effective_batch_size=8, micro_batch_size=8, runs=2),
    Size("SmolLM2-135M", True, steps=3, uncounted=1, effective_batch_size=2, micro_batch_size=2, runs=2),
)
TINY = (
    Size("random-10M", False, steps=3, uncounted=1, effective_batch_size=4, micro_batch_size=2, runs=1),
    Size("random-10M", True, steps=2, uncounted=1, effective_batch_size=1, micro_batch_size=1, runs=1),
)
BIN_TOKENS = 512


def job_of(
    size: Size,
    method: str,
    name: str,
    *,
    model: Path,
    rows: Path,
    folder: Path,
    mean_tokens: float,
    profile: bool = False,
) -> Job:
    """One run of the arm ``name``; ``folder`` is its own."""
    arm = ARMS[name]
    return Job(
        arm=name,
        runner=arm.runner,
        options=arm.options,
        packed=arm.packed,
        own_order=arm.rows_of_its_own,
        method=method,
        model=str(model),
        rows=str(rows),
        output=str(folder / "output"),
        steps=size.steps,
        effective_batch_size=size.effective_batch_size,
        micro_batch_size=size.micro_batch_size,
        bin_tokens=BIN_TOKENS,
        bins_per_step=max(1, round(size.effective_batch_size * mean_tokens / BIN_TOKENS)),
        learning_rate=2e-4 if method == "full" else 2e-3,
        rank=RANK,
        warmup_steps=math.ceil(size.steps * 0.05),
        judge_before=name == OURS,
        profile=profile,
    )
