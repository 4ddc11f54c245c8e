"""Instruction scores of a real model, against what they are defined to be."""

from pathlib import Path
from typing import Any

import pytest

from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings
from tasks.data.tokens.tokenization import encode_split, load_tokenizer
from tasks.training.loading import Head, load_base
from tasks.training.score import ScoreTable, score

pytestmark = pytest.mark.slow

PAIRS = [
    ("The capital of France is", "Paris."),
    ("One, two, three,", "four, five, six, seven"),
    ("Q: What colour is the sky on a clear day? A:", "Blue"),
]


@pytest.fixture(scope="module")
def rows(smollm2: BaseModelRecord, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import pandas as pd

    path = tmp_path_factory.mktemp("rows") / "gate.parquet"
    pd.DataFrame(
        {
            "row_id": [str(index) for index in range(len(PAIRS))],
            "prompt": [prompt for prompt, _ in PAIRS],
            "completion": [completion for _, completion in PAIRS],
        }
    ).to_parquet(path)
    tokenizer = load_tokenizer(Path(smollm2.folder))
    return encode_split(path, task=Task.INSTRUCTION, tokenizer=tokenizer, max_tokens=64, labels=())


def scored(smollm2: BaseModelRecord, rows: Any, batch_size: int) -> ScoreTable:
    return score(
        base=Path(smollm2.folder),
        artifact=None,
        rung=Rung.BASELINE,
        head=Head(Task.INSTRUCTION, ()),
        rows=rows,
        tokenizer=load_tokenizer(Path(smollm2.folder)),
        generation=GenerationSettings(max_new_tokens=8, batch_size=batch_size),
    )


def test_the_loss_is_the_mean_over_the_answers_tokens(smollm2: BaseModelRecord, rows: Any) -> None:
    import torch

    table = scored(smollm2, rows, 3)
    model = load_base(Path(smollm2.folder), Head(Task.INSTRUCTION, ())).model.eval()
    for index, row in enumerate(rows):
        ids = row["input_ids"]
        answer = len(ids) - len(row["prompt_ids"])
        assert [label for label in row["labels"] if label != -100] == ids[-answer:]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        by_hand = [-float(logits[place - 1, ids[place]]) for place in range(len(ids) - answer, len(ids))]
        loss = table.scores["completion_loss"][index]
        assert loss == pytest.approx(sum(by_hand) / answer, abs=1e-3)


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(
    smollm2: BaseModelRecord, rows: Any
) -> None:
    together, alone = scored(smollm2, rows, 3), scored(smollm2, rows, 1)
    assert together.answers == alone.answers
    assert "Paris" in together.answers[0]
    assert together.references == tuple(completion for _, completion in PAIRS)
    assert not together.answers[0].startswith(PAIRS[0][0])
