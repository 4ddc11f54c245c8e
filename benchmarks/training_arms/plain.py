"""transformers' Trainer with peft, as its documentation has it."""

from typing import Any

from benchmarks.training_arms.job import Job


def load_model(job: Job) -> Any:
    """The base in float32, or in 4 bits, before anything is added."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

    set_seed(job.seed)
    options: dict[str, Any] = {"dtype": torch.float32}
    if job.method == "qlora":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        )
    return AutoModelForCausalLM.from_pretrained(job.model, **options)


def lora(job: Job) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=job.rank,
        lora_alpha=job.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def train(job: Job) -> dict[str, Any]:
    from datasets import Dataset
    from peft import get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model = load_model(job)
    if job.method == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if job.method != "full":
        model = get_peft_model(model, lora(job))
    Trainer(
        model=model,
        args=TrainingArguments(**job.trainer_options(), **job.sampling()),
        train_dataset=Dataset.from_parquet(job.peer_rows),
        data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(job.model)),
    ).train()
    return {}
