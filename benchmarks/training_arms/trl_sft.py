"""trl's SFTTrainer in float32 and without checkpointing; ``options`` are of its ``SFTConfig``."""

from typing import Any

from benchmarks.training_arms.job import Job
from benchmarks.training_arms.plain import load_model, lora


def train(job: Job) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    SFTTrainer(
        model=load_model(job),
        args=SFTConfig(
            **job.trainer_options(),
            **job.sampling(),
            gradient_checkpointing=False,
            **{"max_length": job.bin_tokens, **job.options},
        ),
        train_dataset=Dataset.from_parquet(job.peer_rows),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=None if job.method == "full" else lora(job),
    ).train()
    return {}
