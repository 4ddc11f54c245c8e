"""Bottleneck adapters learn real rows with transformers' Trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model

from data_contracts.records.evidence import BaseModelRecord
from tasks.training.batching import pad_batch
from tasks.training.methods.bottleneck import BottleneckConfig
from tests.tasks.training.conftest import Encoded


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    padded = pad_batch([row["input_ids"] for row in rows], pad=0)
    labels = torch.tensor([row["labels"] for row in rows])
    return {"input_ids": padded.ids, "attention_mask": padded.attention, "labels": labels}


@pytest.mark.slow
def test_adapters_alone_lower_the_loss_on_unseen_rows(
    minilm: BaseModelRecord, encoded: Encoded, tmp_path: Path
) -> None:
    """Even the head stays at its random start, so nothing but adapters can have learned."""
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_pretrained(
        minilm.folder, num_labels=len(encoded.head.labels), dtype=torch.float32
    )
    base = {name: value.clone() for name, value in model.state_dict().items()}
    model = get_peft_model(model, BottleneckConfig(bottleneck_size=16))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=24,
            per_device_train_batch_size=16,
            learning_rate=1e-2,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            seed=5,
        ),
        train_dataset=encoded.train.select_columns(["input_ids", "labels"]),
        eval_dataset=encoded.tune.select_columns(["input_ids", "labels"]),
        data_collator=collate,
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before - 0.2
    after = model.unload().state_dict()
    assert all(torch.equal(base[name], after[name]) for name in base)
