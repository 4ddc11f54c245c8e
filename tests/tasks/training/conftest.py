"""Small real classification rows, encoded for MiniLM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.loading import Head


@dataclass(frozen=True)
class Encoded:
    """What training and scoring take."""

    base: Path
    head: Head
    tokenizer: Any
    train: Any
    tune: Any


@pytest.fixture(scope="session")
def encoded(minilm: BaseModelRecord, questions: list[tuple[str, str]]) -> Encoded:
    from datasets import Dataset

    base = Path(minilm.folder)
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
