"""LLaMA-Factory's ``run_exp`` on tokens that are ready, in float32 and without checkpointing.

Runs in an environment of its own. ``options`` are of its configuration; with ``packing`` the tokens are
packed by its own function first, as its preprocessing does.
"""

import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any

from benchmarks.training_arms.job import Job

# Its text loader imports an audio library that it then does not use, and that comes for GPUs alone.
_AUDIO = types.ModuleType("torchaudio")
_AUDIO.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules.setdefault("torchaudio", _AUDIO)


def train(job: Job) -> dict[str, Any]:
    import logging

    from datasets import Dataset, DatasetDict
    from llamafactory.train.tuner import run_exp

    logging.disable(logging.WARNING)
    rows = Dataset.from_parquet(job.peer_rows)
    rows = Dataset.from_dict(_packed(rows, job)) if job.packed else rows.map(_masked)
    tokens = Path(job.output) / "tokens"
    DatasetDict({"train": rows}).save_to_disk(tokens)
    described: dict[str, Any] = {
        **job.trainer_options(),
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": job.model,
        "template": "default",
        "dataset": "rows",
        "tokenized_path": str(tokens),
        "cutoff_len": _cutoff(job),
        "disable_shuffling": True,
        "disable_gradient_checkpointing": True,
        "finetuning_type": "full" if job.method == "full" else "lora",
        "lora_target": "all",
        "lora_rank": job.rank,
        "lora_alpha": job.alpha,
        "lora_dropout": 0.0,
        **job.options,
    }
    if job.method == "qlora":
        described |= {"quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True}
    run_exp(described)
    return {}


def _cutoff(job: Job) -> int:
    """Its bins hold one token more than it is told; it pads them to a multiple of 8, all but the positions.

    At 512 its packing therefore stops with an error.
    """
    return job.bin_tokens - 1


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    return {"attention_mask": [1] * len(row["input_ids"])}


def _packed(rows: Any, job: Job) -> dict[str, Any]:
    """Its own packing, given our tokens where it would have made its own."""
    from llamafactory.data.processor import PackedSupervisedDatasetProcessor
    from transformers import AutoTokenizer

    class Packing(PackedSupervisedDatasetProcessor):  # type: ignore[misc]
        def _encode_data_example(self, prompt: list[int], **_: Any) -> tuple[list[int], list[int]]:
            row = rows[prompt[0]]
            return row["input_ids"], row["labels"]

    arguments = types.SimpleNamespace(
        cutoff_len=_cutoff(job), neat_packing=bool(job.options.get("neat_packing"))
    )
    packing = Packing(
        template=None,
        tokenizer=AutoTokenizer.from_pretrained(job.model),
        processor=None,
        data_args=arguments,
    )
    count = len(rows)
    made = packing.preprocess_dataset(
        {
            "_prompt": [[index] for index in range(count)],
            "_response": [[index] for index in range(count)],
            **{name: [None] * count for name in ("_system", "_tools", "_images", "_videos", "_audios")},
        }
    )
    return {name: made[name] for name in ("input_ids", "attention_mask", "position_ids", "labels")}
