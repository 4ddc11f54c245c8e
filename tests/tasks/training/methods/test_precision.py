"""In bfloat16 as in float32: what is trained is float32, what is frozen and served is in the precision asked.

On a machine with a GPU all of it takes place there.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_contracts.records.rungs import Rung
from data_contracts.records.settings import Precision
from tasks.training.devices import accelerator
from tasks.training.loading import load_base, load_served
from tasks.training.rungs import prepare
from tasks.training.saving import merge
from tasks.training.score import completion_losses
from tests.tasks.training.conftest import Encoded
from tests.tasks.training.methods.conftest import ADAPTERS, pilot_rung, train, weights_rung
from tests.tasks.training.methods.test_methods import logits

pytestmark = pytest.mark.slow

DEVICE = "cpu" if accelerator() is None else "cuda"
NEARLY = 0.05
"""Of the largest logit: bfloat16 has eight bits, and a few layers add their roundings up."""


def in_bfloat16(rows: Encoded) -> Encoded:
    return replace(rows, head=replace(rows.head, precision=Precision.BFLOAT16))


def of_type(model: Any, dtype: torch.dtype) -> set[str]:
    return {name for name, value in model.named_parameters() if value.dtype == dtype}


def far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_is_trained_in_float32_on_a_base_as_it_is_served(rows: Encoded, method: str) -> None:
    rows = in_bfloat16(rows)
    model = prepare(rows.base, rows.head, pilot_rung(method), seed=5, total_steps=20).model
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained and trained <= of_type(model, torch.float32)
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    # peft makes what bitsandbytes leaves of a base in four bits float32, as it must be for training.
    assert method == "qlora" or frozen <= of_type(model, torch.bfloat16)


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_learns_and_is_served_in_bfloat16(rows: Encoded, method: str, tmp_path: Path) -> None:
    low = in_bfloat16(rows)
    fitted = train(low, pilot_rung(method), tmp_path / "low")
    assert (fitted.conditions.device, fitted.conditions.precision) == (DEVICE, Precision.BFLOAT16)
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss - 0.02
    served = load_served(low.base, tmp_path / "low", low.head, Rung(method))
    assert served.device.type == DEVICE
    assert of_type(served, torch.bfloat16)
    precise = load_served(rows.base, tmp_path / "low", rows.head, Rung(method))
    assert far(logits(served, low), logits(precise, rows)) < NEARLY
    if not rows.head.labels and method != "adalora":  # which moves little in twenty steps
        bare = logits(load_base(low.base, low.head).model.eval(), low)
        assert far(bare, logits(served, low)) > NEARLY


def test_base_weights_are_trained_in_float32_and_saved_as_they_are_served(
    rows: Encoded, tmp_path: Path
) -> None:
    from safetensors import safe_open

    low = in_bfloat16(rows)
    rung = weights_rung("full")
    model = prepare(low.base, low.head, rung, seed=5).model
    assert of_type(model, torch.float32) == {name for name, _ in model.named_parameters()}
    fitted = train(low, rung, tmp_path / "model")
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss - 0.02
    with safe_open(tmp_path / "model" / "model.safetensors", framework="pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 - no mapping
    assert kinds == {torch.bfloat16}
    # What transformers loads by itself is what is scored.
    kind = type(model)
    plain = kind.from_pretrained(tmp_path / "model").to(DEVICE).eval()
    served = load_served(low.base, tmp_path / "model", low.head, Rung.FULL)
    assert far(logits(plain, low), logits(served, low)) == 0.0


def test_a_merged_pilot_is_saved_as_it_is_served(decoder: Encoded, tmp_path: Path) -> None:
    low = in_bfloat16(decoder)
    train(low, pilot_rung("lora"), tmp_path / "adapter")
    merge(low.base, tmp_path / "adapter", low.head, low.tokenizer, tmp_path / "merged")
    merged = load_served(low.base, tmp_path / "merged", low.head, Rung.LORA)
    assert of_type(merged, torch.bfloat16) == {name for name, _ in merged.named_parameters()}
    apart = load_served(low.base, tmp_path / "adapter", low.head, Rung.LORA)
    assert far(logits(merged, low), logits(apart, low)) < NEARLY


def test_a_loss_in_bfloat16_is_summed_in_more(decoder: Encoded) -> None:
    """A mean of bfloat16 losses would have steps of a hundredth."""
    low = in_bfloat16(decoder)
    losses = [
        completion_losses(load_base(each.base, each.head).model.eval(), each.tune, each.tokenizer)
        for each in (decoder, low)
    ]
    assert np.abs(losses[0] - losses[1]).max() < 0.02
    assert len(np.unique(losses[1])) > len(losses[1]) / 2
