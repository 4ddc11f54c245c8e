"""Losses on general text are those of the model that would be served, sentence by sentence."""

import math
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings, TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.continuation import bits_per_byte
from tasks.training.fit import fit
from tasks.training.general_text import (
    general_losses,
    general_sentences,
    line_ids,
    plain_text,
    predicted_text,
)
from tasks.training.inputs import TrainingInputs
from tasks.training.loading import Head, load_base
from tasks.training.rungs import PilotRung
from tests.tasks.training.conftest import Encoded

INSTRUCTION = Head(Task.INSTRUCTION, ())


def test_each_line_is_one_sentence_of_its_own() -> None:
    sentences = general_sentences()
    assert 50 <= len(sentences) == len(set(sentences))
    assert all(line == line.strip() and line.endswith(".") for line in sentences)
    assert all(6 <= len(line.split()) <= 25 for line in sentences)
    assert line_ids(sentences)[:2] == ("line 1", "line 2")


def test_neither_special_tokens_nor_the_first_are_predicted(encoded: Encoded) -> None:
    text = plain_text(["bread is \U0001f9c0 bread"], encoded.tokenizer)
    # [CLS] bread is [UNK] bread [SEP]: an unknown word is a word.
    assert [label != IGNORED_LABEL for label in text.labels[0]] == [False, True, True, True, True, False]
    assert text.tokens.tolist() == text.words.tolist() == [4]
    assert text.utf8_bytes.tolist() == [len("bread is [UNK] bread")]
    bare = predicted_text([[5, 6, 7]], [[5, 6, 7]], encoded.tokenizer)
    assert bare.labels == ([IGNORED_LABEL, 6, 7],)


def test_bits_per_byte_by_hand() -> None:
    # A model that gives each of 4 tokens probability 1/8 spends 12 bits; the tokens are 6 bytes long.
    assert bits_per_byte(math.log(8), tokens=4, utf8_bytes=6) == pytest.approx(2.0)


def test_a_classifier_has_no_general_losses(encoded: Encoded) -> None:
    with pytest.raises(InputError, match="predicts text"):
        general_losses(
            base=encoded.base,
            artifact=None,
            rung=Rung.BASELINE,
            head=encoded.head,
            tokenizer=encoded.tokenizer,
            texts=["A sentence."],
        )


@pytest.mark.slow
def test_the_base_and_an_adapter_pair_line_by_line(smollm2: BaseModelRecord, tmp_path: Path) -> None:
    import torch
    from datasets import Dataset

    base = Path(smollm2.folder)
    tokenizer = load_tokenizer(base)
    texts = general_sentences()[:12]
    options = {"base": base, "head": INSTRUCTION, "tokenizer": tokenizer, "texts": texts}
    before = general_losses(**options, artifact=None, rung=Rung.BASELINE)

    model = load_base(base, INSTRUCTION).model.eval()
    for text, loss in zip(texts[:3], before, strict=False):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            assert loss == pytest.approx(float(model(input_ids=ids, labels=ids).loss), abs=1e-3)
    with pytest.raises(InputError, match="line 2"):
        general_losses(**{**options, "texts": ["Two words.", "a"]}, artifact=None, rung=Rung.BASELINE)

    # Taught to answer everything with one token, hard enough that it must forget.
    ids = [tokenizer(text)["input_ids"] for text in texts]
    rows = Dataset.from_dict(
        {"row_id": line_ids(texts), "input_ids": ids, "labels": [[5] * len(each) for each in ids]}
    )
    fit(
        TrainingInputs(
            base=base,
            base_name="smollm2",
            base_digest=smollm2.identity(),
            head=INSTRUCTION,
            rung=PilotRung(PilotSettings(rank=4, alpha=16)),
            train=rows,
            tune=rows.select(range(2)),
            tokenizer=tokenizer,
            training=TrainingSettings(
                max_steps=6, effective_batch_size=4, micro_batch_size=4, curve_points=1
            ),
            learning_rate=1e-2,
            seed=1,
        ),
        artifact=tmp_path / "adapter",
    )
    after = general_losses(**options, artifact=tmp_path / "adapter", rung=Rung.LORA)
    assert before.shape == after.shape == (12,)
    assert np.mean(after - before) > 0.5
