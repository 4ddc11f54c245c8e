"""Rows laid end to end teach exactly what they teach apart, or are not laid so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import Packing, PilotSettings, TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training import tensors
from tasks.training.collation import pack, padding_collator, rows_in
from tasks.training.fit import Fitted, fit
from tasks.training.inputs import TrainingInputs
from tasks.training.loading import Head, load_base
from tasks.training.packing import choose_layout, padding_share, what_mixes_rows
from tasks.training.rungs import PilotRung

TEXTS = Head(Task.COMPLETION, ())
ROWS = [
    {"input_ids": ids, "labels": [IGNORED_LABEL, IGNORED_LABEL, *ids[2:]]}
    for ids in ([*range(5, 5 + 3 * length, 3)] for length in (17, 4, 30, 9))
]


def tiny(kind: str, **options: Any) -> Any:
    """A model of another architecture with random weights."""
    import torch
    import transformers

    torch.manual_seed(3)
    sizes = {"vocab_size": 120, "initializer_range": 0.3, **options}
    return getattr(transformers, kind)(getattr(transformers, _CONFIGS[kind])(**sizes)).eval()


_CONFIGS = {
    "MistralForCausalLM": "MistralConfig",
    "GPT2LMHeadModel": "GPT2Config",
    "BertLMHeadModel": "BertConfig",
    "BloomForCausalLM": "BloomConfig",
    "MambaForCausalLM": "MambaConfig",
}
_LAYERS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def test_loss_and_gradients_are_those_of_the_padded_batch(tiny_llama: Path) -> None:
    import torch

    model = load_base(tiny_llama, TEXTS).model.train()
    padded = padding_collator(TEXTS, load_tokenizer(tiny_llama))(ROWS)
    packed = pack(ROWS)
    assert packed["input_ids"].shape == (1, 60) and padded["input_ids"].shape == (4, 30)
    found: list[tuple[float, list[Any]]] = []
    for batch in (padded, packed):
        model.zero_grad()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        found.append((float(loss.detach()), [p.grad.clone() for p in model.parameters()]))
    (one, gradients), (other, others) = found
    assert one == pytest.approx(other, rel=1e-5)
    for left, right in zip(gradients, others, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5 * float(left.abs().max()))
    assert rows_in(padded) == rows_in(packed) == 4


@pytest.mark.parametrize(
    ("make", "keeps"),
    [
        (lambda: tiny("MistralForCausalLM", sliding_window=6, num_key_value_heads=2, **_LAYERS), True),
        (lambda: tiny("GPT2LMHeadModel", n_embd=32, n_layer=2, n_head=4), True),
        (lambda: tiny("BertLMHeadModel", **_LAYERS), False),
        (lambda: tiny("BloomForCausalLM", hidden_size=32, n_layer=2, n_head=4), False),
        (lambda: tiny("MambaForCausalLM", hidden_size=32, num_hidden_layers=2), False),
    ],
    ids=["sliding window", "learned positions", "encoder", "no positions", "recurrent"],
)
def test_which_models_keep_rows_apart_is_found_by_trying(make: Callable[[], Any], keeps: bool) -> None:
    model = make()
    assert (what_mixes_rows(model, TEXTS) is None) == keeps
    model.train()
    what_mixes_rows(model, TEXTS)
    assert model.training
    for asked in (Packing.AUTO, Packing.ON):
        if asked is Packing.ON and not keeps:
            with pytest.raises(InputError, match=r"training\.packing"):
                choose_layout(model, TEXTS, asked, lengths=[4, 40], micro_batch_size=2)
        else:
            layout = choose_layout(model, TEXTS, asked, lengths=[4, 40], micro_batch_size=2)
            assert layout.packed == keeps


def test_the_rows_decide_where_nobody_does(tiny_llama: Path) -> None:
    model = load_base(tiny_llama, TEXTS).model

    def packed(*lengths: int, asked: Packing = Packing.AUTO, head: Head = TEXTS) -> bool:
        return choose_layout(model, head, asked, lengths=lengths, micro_batch_size=2).packed

    assert packed(10, 40) and not packed(39, 40)
    assert packed(39, 40, asked=Packing.ON) and not packed(10, 40, asked=Packing.OFF)
    # A tenth of padding costs less than masked attention over both rows, a third costs more.
    assert not packed(450, 550) and packed(300, 1200) and not packed(10, 4000)
    assert not packed(10, 40, head=Head(Task.CLASSIFICATION, ("a", "b")))
    with pytest.raises(InputError, match="one answer a sequence"):
        packed(10, 40, asked=Packing.ON, head=Head(Task.CLASSIFICATION, ("a", "b")))


def test_padding_is_counted_by_micro_batch() -> None:
    assert padding_share([2, 4, 10, 10, 5], 2) == pytest.approx(2 / (8 + 20 + 5))


@pytest.mark.slow
def test_a_training_is_the_same_packed_and_padded(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset

    sizes: list[int] = []

    def counted(rows: list[dict[str, Any]]) -> dict[str, Any]:
        sizes.append(len(rows))
        return pack(rows)

    monkeypatch.setattr(tensors, "pack", counted)

    rows = Dataset.from_list([*ROWS, *({name: ids[:-1] for name, ids in row.items()} for row in ROWS)])

    def trained(packing: Packing) -> Fitted:
        return fit(
            TrainingInputs(
                base=tiny_llama,
                base_name="tiny",
                base_digest="sha256:" + "0" * 64,
                head=TEXTS,
                rung=PilotRung(PilotSettings(rank=4, alpha=8)),
                train=rows,
                tune=rows.select(range(3)),
                tokenizer=load_tokenizer(tiny_llama),
                training=TrainingSettings(
                    max_steps=6, effective_batch_size=4, micro_batch_size=2, curve_points=3, packing=packing
                ),
                learning_rate=1e-2,
                seed=1,
            ),
            artifact=tmp_path / packing,
        )

    on, off = trained(Packing.ON), trained(Packing.OFF)
    assert on.seen.packed and not off.seen.packed and on.seen.padding == 0 < off.seen.padding
    assert on.rows_seen == off.rows_seen == 24
    assert on.supervised_tokens == off.supervised_tokens == on.seen.supervised == off.seen.supervised
    for left, right in zip(on.curve, off.curve, strict=True):
        assert left.tune_loss == pytest.approx(right.tune_loss, rel=1e-4)
    for left, right in zip(on.curve[1:], off.curve[1:], strict=True):
        assert left.train_loss == pytest.approx(right.train_loss, rel=1e-4)
    assert on.curve[-1].tune_loss < on.curve[0].tune_loss
    # The rows of one step come in two micro-batches; those of tune are not packed.
    assert sizes == [2] * 12
