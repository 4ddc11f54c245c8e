"""Data that the base knows is near, data that it doesn't is far, however the tokenizer cuts it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord, DomainDistance
from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import encode_split, load_tokenizer
from tasks.training.distance import domain_distance
from tests.tasks.training.conftest import Encoded

SOUNDS = [("cat:", "K AE T"), ("bread:", "B R EH D"), ("window:", "W IH N D OW"), ("sugar:", "SH UH G ER")]
TALK = [
    ("How are you today?", "I'm fine, thank you. And you?"),
    ("Where do you live?", "I live in a small house near the river."),
    ("What time is it?", "It is half past nine."),
    ("Do you like tea?", "Yes, but I like coffee more."),
]


def measured(base: BaseModelRecord, pairs: list[tuple[str, str]], folder: Path) -> DomainDistance:
    path = folder / "rows.parquet"
    prompts, answers = zip(*pairs, strict=True)
    ids = [str(index) for index in range(len(pairs))]
    pd.DataFrame({"row_id": ids, "prompt": prompts, "completion": answers}).to_parquet(path)
    tokenizer = load_tokenizer(Path(base.folder))
    rows = encode_split(path, task=Task.INSTRUCTION, tokenizer=tokenizer, max_tokens=64, labels=())
    return domain_distance(base, rows, tokenizer)


@pytest.mark.slow
def test_sounds_are_far_and_small_talk_is_near(smollm2: BaseModelRecord, tmp_path: Path) -> None:
    far, near = measured(smollm2, SOUNDS, tmp_path), measured(smollm2, TALK, tmp_path)
    assert far.general == near.general and far.general.rows == 60
    assert far.extra_bits_per_byte is not None and near.extra_bits_per_byte is not None
    assert far.extra_bits_per_byte > 2 > 0.5 > near.extra_bits_per_byte
    assert far.data.utf8_bytes == sum(len(f" {answer}") for _, answer in SOUNDS)
    assert far.loss_undefined is None and "more for this data" in far.sentence


def test_an_encoder_is_told_by_its_tokens_alone(minilm: BaseModelRecord, encoded: Encoded) -> None:
    distance = domain_distance(minilm, encoded.tune, encoded.tokenizer)
    assert distance.data.nats_per_token is None and distance.extra_bits_per_byte is None
    assert distance.loss_undefined is not None and "BertModel" in distance.loss_undefined
    assert "no loss is defined" in distance.sentence and "tokens a word" in distance.summary
    # Questions in everyday English are cut about as finely as everyday English.
    assert 0.8 < distance.relative_fertility < 1.3
    assert distance.data.rows == len(encoded.tune)


def test_strange_words_are_cut_finely(minilm: BaseModelRecord, encoded: Encoded) -> None:
    from datasets import Dataset

    texts = ["hydrochlorothiazide methylprednisolone", "phosphatidylethanolamine"]
    rows = Dataset.from_dict({"input_ids": encoded.tokenizer(texts)["input_ids"], "labels": [0, 1]})
    assert domain_distance(minilm, rows, encoded.tokenizer).relative_fertility > 3


def test_rows_without_an_answer_are_left_out_or_refused(minilm: BaseModelRecord, encoded: Encoded) -> None:
    from datasets import Dataset

    def rows(labels: list[list[int]]) -> Any:
        ids = [[5, 6, 7]] * len(labels)
        return Dataset.from_dict({"input_ids": ids, "labels": labels, "prompt_ids": ids})

    none = [IGNORED_LABEL] * 3
    distance = domain_distance(minilm, rows([none, [IGNORED_LABEL, 1996, 3899]]), encoded.tokenizer)
    assert (distance.data.rows, distance.data.tokens) == (1, 2)
    with pytest.raises(InputError, match="tokens to predict"):
        domain_distance(minilm, rows([none]), encoded.tokenizer)
