"""Which models are parted over processes at all."""

from typing import Any

import pytest

from tasks.training import sharding
from tasks.training.methods.adapters import ADAPTER_METHODS


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "world_size", lambda: 2)


@pytest.mark.usefixtures("several")
def test_a_model_whose_blocks_cannot_be_told_apart_stays_whole() -> None:
    from transformers import AlbertConfig, AlbertForSequenceClassification

    config = AlbertConfig(
        vocab_size=50, embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=16
    )
    model = AlbertForSequenceClassification(config)
    assert sharding.shard(model, None) is False
    assert not any(hasattr(parameter, "placements") for parameter in model.parameters())


@pytest.mark.usefixtures("several")
def test_methods_that_look_at_whole_matrices_stay_whole() -> None:
    untouched: Any = object()
    whole = [m.name for m in ADAPTER_METHODS if not m.shardable and not sharding.shard(untouched, m)]
    assert whole == ["pissa", "adalora", "qlora"]
