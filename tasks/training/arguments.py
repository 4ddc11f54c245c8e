"""How Trainer is set up: float32, AdamW, a linear schedule, rows in the order they are given."""

import math
from typing import Any

from data_contracts.records.settings import TrainingSettings
from tasks.training.course import Course


def training_arguments(
    scratch: str,
    training: TrainingSettings,
    course: Course,
    learning_rate: float,
    total_steps: int,
    seed: int,
) -> Any:
    import torch
    from transformers import TrainingArguments

    every = max(1, math.ceil(total_steps / training.curve_points))
    return TrainingArguments(
        output_dir=scratch,
        max_steps=total_steps,
        per_device_train_batch_size=course.micro_batch_size,
        per_device_eval_batch_size=course.evaluation_batch_size,
        gradient_accumulation_steps=training.effective_batch_size // course.micro_batch_size,
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
        bf16=False,
        fp16=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        push_to_hub=False,
    )
