"""What a model does not allow is said before a weight is loaded, all of it, with what it does allow."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.settings import FullSettings, PilotSettings
from tasks.training.base_model import resolve_base_model
from tasks.training.methods.possible import linear_layers, possible_methods, require_possible


def refusal(base: BaseModelRecord, *, full: dict[str, Any] | None = None, **pilot: Any) -> str:
    with pytest.raises(InputError) as caught:
        require_possible(base, Task.CLASSIFICATION, PilotSettings(**pilot), FullSettings(**(full or {})))
    return str(caught.value)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> BaseModelRecord:
    """Two layers of the family whose linear layers are none of torch's, with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=100, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return resolve_base_model(str(folder), folder)


def test_the_linear_layers_are_found_and_not_the_head(minilm: BaseModelRecord) -> None:
    layers = {layer.name: layer for layer in linear_layers(minilm, Task.CLASSIFICATION)}
    assert {"query", "key", "value"} <= set(layers) and "classifier" not in layers
    assert (layers["query"].inputs, layers["query"].outputs) == (384, 384)
    assert (layers["dense"].inputs, layers["dense"].outputs) == (384, 384)  # the narrowest of three


@pytest.mark.parametrize(
    "pilot",
    [
        *({"method": name} for name in ("lora", "rslora", "dora", "pissa", "adalora", "qlora", "adapter")),
        {"preset": "heavy"},
        {"rank": 384},
        {"target_modules": ("query",), "merge": True},
    ],
)
def test_what_the_model_allows_passes(minilm: BaseModelRecord, pilot: dict[str, Any]) -> None:
    require_possible(minilm, Task.CLASSIFICATION, PilotSettings(**pilot), FullSettings())


def test_an_unknown_rung_is_answered_with_those_there_are(minilm: BaseModelRecord) -> None:
    told = refusal(minilm, method="lorax", full={"method": "halves"})
    assert "pilot.method" in told and "lora, rslora, dora, pissa, adalora, qlora, adapter" in told
    assert "full.method" in told and "full, layers, hybrid" in told


def test_the_two_kinds_of_method_are_not_mixed_up(minilm: BaseModelRecord) -> None:
    assert "layers, which updates base weights" in refusal(minilm, method="layers")
    assert "weights in 4 bits cannot be trained" in refusal(minilm, full={"method": "qlora"})
    assert "dora, which trains an adapter" in refusal(minilm, full={"method": "dora"})


def test_a_rank_beyond_the_layer_is_refused_with_the_layer_named(minilm: BaseModelRecord) -> None:
    told = refusal(minilm, rank=385, target_modules=("query",))
    assert "at most 384, the width of layer query" in told
    assert "the hidden states" in refusal(minilm, rank=400, method="adapter")


def test_layers_that_the_model_lacks_are_refused(minilm: BaseModelRecord) -> None:
    assert "query, value, or all-linear" in refusal(minilm, target_modules=("query", "q_proj"))
    assert "6 transformer blocks" in refusal(minilm, full={"method": "layers", "layers": 7})
    assert "found:    6" in refusal(minilm, full={"method": "hybrid", "layers": (5, 6)})


def test_what_is_not_linear_cannot_be_merged(minilm: BaseModelRecord) -> None:
    told = refusal(minilm, method="adapter", merge=True, full={"method": "hybrid"})
    assert "pilot.merge" in told and "cannot be merged" in told


def test_a_model_whose_layers_cannot_be_quantised_says_what_is_possible(gpt2: BaseModelRecord) -> None:
    assert "qlora" not in possible_methods(linear_layers(gpt2, Task.CLASSIFICATION))
    told = refusal(gpt2, method="qlora", rank=4)
    assert "lora, rslora, dora, pissa, adalora, adapter" in told and "four bits" in told
    require_possible(gpt2, Task.INSTRUCTION, PilotSettings(rank=4))


def test_an_encoder_is_refused_for_an_instruction_task(minilm: BaseModelRecord) -> None:
    with pytest.raises(InputError, match="a model that generates text"):
        require_possible(minilm, Task.INSTRUCTION, PilotSettings())


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    config = {
        "architectures": ["ResNetForImageClassification"],
        "model_type": "resnet",
        "hidden_sizes": [8],
        "depths": [1],
        "embedding_size": 4,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"w": np.zeros(1, dtype=np.float32)}, tmp_path / "model.safetensors")
    base = resolve_base_model(str(tmp_path), tmp_path)
    with pytest.raises(InputError, match="can carry a classification head"):
        require_possible(base, Task.CLASSIFICATION, PilotSettings())
