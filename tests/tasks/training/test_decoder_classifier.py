"""A decoder with a classifier's head: trained, saved and scored as an encoder is."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings, PilotSettings, TrainingSettings
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.fit import fit
from tasks.training.inputs import TrainingInputs
from tasks.training.loading import Head
from tasks.training.rungs import PilotRung
from tasks.training.score import ScoreTable, score

LABELS = ("animal", "number")
WORDS = (["cat", "dog", "horse", "cow", "sheep"], ["one", "two", "three", "four", "five"])


@pytest.mark.slow
@pytest.mark.parametrize("own_pad", [True, False], ids=["own padding", "padded with the end"])
def test_a_decoder_learns_to_classify_and_its_scores_do_not_depend_on_padding(
    tiny_llama: Path, tmp_path: Path, own_pad: bool
) -> None:
    from datasets import Dataset

    base = shutil.copytree(tiny_llama, tmp_path / "base")
    tokenizer = load_tokenizer(base)
    if not own_pad:
        tokenizer.pad_token = None
        tokenizer.save_pretrained(base)
        tokenizer = load_tokenizer(base)
        assert tokenizer.pad_token_id == tokenizer.eos_token_id
    head = Head(Task.CLASSIFICATION, LABELS, pad_token_id=tokenizer.pad_token_id)
    texts = [(f"{'so ' * (n % 7)}{WORDS[n % 2][n // 2 % 5]}", n % 2) for n in range(96)]
    rows = Dataset.from_dict(
        {
            "row_id": [str(n) for n in range(len(texts))],
            "input_ids": [tokenizer(text)["input_ids"] for text, _ in texts],
            "labels": [label for _, label in texts],
        }
    )
    train, held_out = rows.select(range(64)), rows.select(range(64, 96))
    fitted = fit(
        TrainingInputs(
            base=base,
            base_name="tiny",
            base_digest="sha256:" + "0" * 64,
            head=head,
            rung=PilotRung(PilotSettings(rank=8, alpha=16)),
            train=train,
            tune=held_out,
            tokenizer=tokenizer,
            training=TrainingSettings(epochs=10, effective_batch_size=16, micro_batch_size=8, curve_points=2),
            learning_rate=1e-2,
            seed=1,
        ),
        artifact=tmp_path / "adapter",
    )
    assert fitted.rows_seen == 640 == fitted.supervised_tokens == fitted.seen.supervised
    assert not fitted.seen.packed and "one answer a sequence" in fitted.seen.layout

    def scored(of: Any) -> ScoreTable:
        return score(
            base=base,
            artifact=tmp_path / "adapter",
            rung=Rung.LORA,
            head=head,
            rows=of,
            tokenizer=tokenizer,
            generation=GenerationSettings(),
        )

    together = scored(held_out)
    assert together.scores["accuracy"].mean() > 0.9
    alone = [scored(held_out.select([n])).scores["cross_entropy"][0] for n in range(4)]
    np.testing.assert_allclose(together.scores["cross_entropy"][:4], alone, rtol=1e-3, atol=1e-5)
