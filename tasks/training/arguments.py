"""How Trainer is set up: precision, AdamW, a linear schedule, rows in the order they are given."""

import math
from typing import Any

from data_contracts.records.settings import Precision, TrainingSettings
from tasks.training.course import Course
from tasks.training.sharding import world_size


def rows_at_once(rows: int, effective_batch_size: int) -> int:
    """At most ``rows`` in the memory of each process, so many that whole micro-batches make a step."""
    share = effective_batch_size // world_size()
    return next(size for size in range(min(rows, share), 0, -1) if share % size == 0)


def training_arguments(
    scratch: str,
    training: TrainingSettings,
    course: Course,
    learning_rate: float,
    total_steps: int,
    seed: int,
    precision: Precision,
) -> Any:
    """transformers' ``TrainingArguments``, for one GPU a process where there are any."""
    import torch
    from transformers import TrainingArguments

    every = max(1, math.ceil(total_steps / training.curve_points))
    arguments = TrainingArguments(
        output_dir=scratch,
        max_steps=total_steps,
        per_device_train_batch_size=course.micro_batch_size,
        per_device_eval_batch_size=course.evaluation_batch_size,
        gradient_accumulation_steps=training.effective_batch_size // (course.micro_batch_size * world_size()),
        ddp_find_unused_parameters=False if world_size() > 1 else None,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(total_steps * training.warmup_share),
        weight_decay=training.weight_decay,
        max_grad_norm=training.maximum_gradient_norm,
        optim="adamw_torch_fused",
        train_sampling_strategy="sequential",
        logging_strategy="steps",
        logging_steps=every,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=every,
        prediction_loss_only=True,
        save_strategy="no",
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=precision is Precision.BFLOAT16,
        fp16=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        push_to_hub=False,
    )
    # Of several GPUs one process takes one: Trainer would spread it over all of them (DataParallel).
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
