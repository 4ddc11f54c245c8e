"""Small real classification rows, encoded for the first layers of MiniLM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_contracts.records.metrics import Task
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.inputs import TrainingInputs
from tasks.training.loading import Head
from tasks.training.rungs import FullRung, PilotRung


@dataclass(frozen=True)
class Encoded:
    """What training and scoring take."""

    base: Path
    head: Head
    tokenizer: Any
    train: Any
    tune: Any


def given_of(rows: Encoded, rung: PilotRung | FullRung, **changes: Any) -> TrainingInputs:
    """What a training of ``rung`` on these rows is given; its settings and learning rate must be named."""
    values: dict[str, Any] = {
        "base": rows.base,
        "base_name": "base",
        "base_digest": "sha256:" + "0" * 64,
        "head": rows.head,
        "rung": rung,
        "train": rows.train,
        "tune": rows.tune,
        "tokenizer": rows.tokenizer,
        "seed": 5,
    }
    return TrainingInputs(**{**values, **changes})


@pytest.fixture(scope="session")
def encoded(short_minilm: Path, questions: list[tuple[str, str]]) -> Encoded:
    from datasets import Dataset

    base = short_minilm
    tokenizer = load_tokenizer(base)
    labels = tuple(sorted({label for _, label in questions}))

    def rows(pairs: list[tuple[str, str]]) -> Any:
        return Dataset.from_dict(
            {
                "row_id": [str(index) for index in range(len(pairs))],
                "input_ids": [tokenizer(text)["input_ids"] for text, _ in pairs],
                "labels": [labels.index(label) for _, label in pairs],
                "truncated": [False] * len(pairs),
            }
        )

    return Encoded(
        base,
        Head(Task.CLASSIFICATION, labels),
        tokenizer,
        train=rows(questions[:192]),
        tune=rows(questions[192:256]),
    )
