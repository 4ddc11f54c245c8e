"""The loss of a whole text, whatever windows it is read in, and what is reported beside it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.records.evidence import Rung
from data_contracts.records.metrics import Task
from data_contracts.records.settings import GenerationSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.data.tokens.windows import encode_windows
from tasks.training.continuation import text_losses
from tasks.training.loading import Head, load_base
from tasks.training.score import ScoreTable, score
from tasks.training.serving import measure_serving

HEAD = Head(Task.COMPLETION, ())
TEXTS = {"a": "two plus two is four", "b": "the cat sat on the mat and was glad of it", "c": "one"}


def encoded(folder: Path, max_tokens: int) -> Any:
    from datasets import Dataset

    tokenizer = load_tokenizer(folder)
    return Dataset.from_dict(encode_windows(list(TEXTS), list(TEXTS.values()), tokenizer, max_tokens))


def scored(folder: Path, rows: Any) -> ScoreTable:
    return score(
        base=folder,
        artifact=None,
        rung=Rung.BASELINE,
        head=HEAD,
        rows=rows,
        tokenizer=load_tokenizer(folder),
        generation=GenerationSettings(),
    )


def test_each_text_has_one_score_and_it_is_its_models_loss(tiny_llama: Path) -> None:
    import torch

    rows = encoded(tiny_llama, 64)
    table = scored(tiny_llama, rows)
    assert table.row_ids == ("a", "b", "c") and list(table.scores) == ["completion_loss"]
    model = load_base(tiny_llama, HEAD).model.eval()
    for row, loss in zip(rows, table.scores["completion_loss"], strict=True):
        ids = torch.tensor([row["input_ids"]])
        assert loss == pytest.approx(model(input_ids=ids, labels=ids).loss.item(), rel=1e-5)


def test_windows_of_a_text_are_weighed_by_their_tokens(tiny_llama: Path) -> None:
    rows = encoded(tiny_llama, 8)
    assert rows["row_id"][:] == ["a", "b", "b", "c"]
    table = scored(tiny_llama, rows)
    assert table.row_ids == ("a", "b", "c")
    whole = scored(tiny_llama, encoded(tiny_llama, 64))
    same = np.isclose(table.scores["completion_loss"], whole.scores["completion_loss"], rtol=1e-5)
    # What the second window is not given is the only difference.
    assert same.tolist() == [True, False, True]


def test_perplexity_and_bits_per_byte_weigh_all_tokens_alike(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(tiny_llama)
    texts = [tokenizer("one two")["input_ids"], tokenizer("four")["input_ids"]]
    labels = [[IGNORED_LABEL, *ids[1:]] for ids in texts]
    found = text_losses(["x", "x"], labels, np.array([1.0, 4.0]), tokenizer)
    # Three tokens and two, the ends included: [SEP] counts as a token and as no byte.
    assert found.row_ids == ("x",) and found.tokens.tolist() == [5]
    assert found.nats_per_token.tolist() == [pytest.approx((3 * 1.0 + 2 * 4.0) / 5)]
    figures = {metric.name: metric.value for metric in found.corpus()}
    assert figures["perplexity"] == pytest.approx(math.exp(11 / 5))
    assert figures["bits_per_byte"] == pytest.approx(11 / len("one two" + "four") / math.log(2))
    assert not any(metric.per_example for metric in found.corpus())


def test_latency_is_that_of_going_on_with_a_text(tiny_llama: Path) -> None:
    cost = measure_serving(
        base=tiny_llama,
        artifact=None,
        rung=Rung.BASELINE,
        head=HEAD,
        rows=encoded(tiny_llama, 64),
        tokenizer=load_tokenizer(tiny_llama),
        generation=GenerationSettings(max_new_tokens=5),
    )
    assert cost.rows == 3 and cost.tokens_per_answer is not None and 1 <= cost.tokens_per_answer <= 5
