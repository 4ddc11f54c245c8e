"""Rows to tensors: padded side by side, or laid end to end."""

from collections.abc import Callable
from typing import Any

from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.batching import pad_batch
from tasks.training.loading import Head

Rows = list[dict[str, Any]]
Collate = Callable[[Rows], dict[str, Any]]


def padding_collator(head: Head, tokenizer: Any) -> Collate:
    """Pads to the longest row of the batch; attention is masked there and the loss is not taken."""
    import torch

    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    def collate(rows: Rows) -> dict[str, Any]:
        padded = pad_batch([row["input_ids"] for row in rows], pad=pad)
        if head.task is Task.CLASSIFICATION:
            labels = torch.tensor([row["labels"] for row in rows])  # (batch,)
        else:
            labels = torch.full_like(padded.ids, IGNORED_LABEL)  # (batch, tokens)
            for index, row in enumerate(rows):
                labels[index, : len(row["labels"])] = torch.tensor(row["labels"])
        return {"input_ids": padded.ids, "attention_mask": padded.attention, "labels": labels}

    return collate


def pack(rows: Rows) -> dict[str, Any]:
    """One sequence of all rows, (1, tokens); positions begin anew with each row.

    transformers keeps attention within rows where positions restart and no mask is given. The first token of
    a row is not predicted: it would be from the row before.
    """
    import torch

    ids = [token for row in rows for token in row["input_ids"]]
    positions = [position for row in rows for position in range(len(row["input_ids"]))]
    labels = [label for row in rows for label in (IGNORED_LABEL, *row["labels"][1:])]
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([labels]),
    }


def rows_in(inputs: dict[str, Any]) -> int:
    """How many rows a batch of either kind holds."""
    if "position_ids" in inputs:
        return int((inputs["position_ids"] == 0).sum())
    return int(inputs["labels"].shape[0])
