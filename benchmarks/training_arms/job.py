"""One training to be measured. Needs the standard library alone: a peer's environment reads it too."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What one arm trains, the same for every arm of a cell but for ``arm`` and ``options``."""

    arm: str
    runner: str
    """Module of this package that trains it."""
    options: dict[str, Any]
    """What distinguishes this arm from others of the same runner."""
    packed: bool
    """Passes once over its rows in bins, whatever number of steps that takes."""
    own_order: bool
    """Draws its rows from the pool, as its trainer does by default."""
    method: str
    """``lora``, ``qlora`` or ``full``."""
    model: str
    """Folder of model and tokenizer."""
    rows: str
    """Folder with ``pool``, ``train`` (the rows of the pool in the order they are trained on) and ``judge``,
    each a parquet file of ``input_ids`` and ``labels``."""
    output: str
    """Empty folder of this run."""
    steps: int
    """Optimizer steps of an arm that does not pack."""
    effective_batch_size: int
    micro_batch_size: int
    bin_tokens: int
    """Tokens to pack into one row, for arms that pack."""
    bins_per_step: int
    """So many packed rows hold about as many tokens as one step of an arm that does not pack."""
    learning_rate: float
    warmup_steps: int
    rank: int
    alpha: int = 32
    maximum_gradient_norm: float = 1.0
    seed: int = 17
    judge_before: bool = False
    """Also take the loss of the untrained model."""
    profile: bool = False
    """Also say where the time of the last steps goes; such a run is not timed."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def peer_rows(self) -> str:
        """The file of rows that a peer trains on."""
        return f"{self.rows}/{'pool' if self.own_order else 'train'}.parquet"

    def trainer_options(self) -> dict[str, Any]:
        """Of transformers' ``TrainingArguments``: the same for every arm that takes these."""
        batch = self.bins_per_step if self.packed else self.micro_batch_size
        accumulation = 1 if self.packed else self.effective_batch_size // self.micro_batch_size
        return {
            "output_dir": self.output,
            "num_train_epochs": 1,
            "max_steps": -1 if self.packed else self.steps,
            "per_device_train_batch_size": batch,
            "gradient_accumulation_steps": accumulation,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": "linear",
            "warmup_steps": self.warmup_steps,
            "weight_decay": 0.0,
            "max_grad_norm": self.maximum_gradient_norm,
            "optim": "adamw_torch_fused",
            "logging_strategy": "no",
            "save_strategy": "no",
            "seed": self.seed,
            "use_cpu": True,
            "bf16": False,
            "fp16": False,
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
        }

    def sampling(self) -> dict[str, Any]:
        """The option of newer transformers that keeps the rows in the order they are given."""
        return {} if self.own_order else {"train_sampling_strategy": "sequential"}
