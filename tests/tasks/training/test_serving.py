"""Serving is timed on the artifact as it would be served, one answer at a time."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.records.evidence import BaseModelRecord, ServingCost
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings, PilotSettings
from tasks.data.tokens.examples import encode_with_examples
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.baseline import fit_probe
from tasks.training.loading import Head
from tasks.training.rungs import PilotRung, prepare
from tasks.training.score import score
from tasks.training.serving import folder_bytes, measure_serving
from tests.tasks.training.conftest import Encoded


def served(encoded: Encoded, rung: Rung, artifact: Path, **changes: Any) -> ServingCost:
    options: dict[str, Any] = {
        "base": encoded.base,
        "artifact": artifact,
        "rung": rung,
        "head": encoded.head,
        "rows": encoded.tune,
        "tokenizer": encoded.tokenizer,
        "generation": GenerationSettings(),
    }
    return measure_serving(**{**options, **changes})


def test_a_probe_is_served_with_its_base(encoded: Encoded, tmp_path: Path) -> None:
    fit_probe(base=encoded.base, train=encoded.train, tune=encoded.tune, artifact=tmp_path)
    cost = served(encoded, Rung.BASELINE, tmp_path)
    assert cost.rows == 30
    assert 0 < cost.median_seconds <= cost.percentile_95_seconds < 5
    assert cost.on_base and cost.tokens_per_answer is None
    assert cost.artifact_bytes == folder_bytes(tmp_path) < 100_000
    assert cost.base_bytes == folder_bytes(encoded.base) > 50e6


def test_an_adapter_needs_its_base_and_a_whole_model_does_not(encoded: Encoded, tmp_path: Path) -> None:
    model = prepare(encoded.base, encoded.head, PilotRung(PilotSettings(rank=2, alpha=4)), seed=1).model
    model.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    adapter = served(encoded, Rung.LORA, tmp_path / "adapter", rows=encoded.tune.select(range(3)))
    assert adapter.rows == 3 and adapter.on_base
    assert adapter.artifact_bytes < 2e6 < 50e6 < adapter.base_bytes
    model.unload().save_pretrained(tmp_path / "model")
    whole = served(encoded, Rung.FULL, tmp_path / "model", rows=encoded.tune.select(range(1)))
    assert not whole.on_base and whole.base_bytes == 0 and whole.artifact_bytes > 50e6
    assert whole.median_seconds == whole.percentile_95_seconds


@pytest.mark.slow
def test_a_base_with_examples_answers_and_stops_where_they_do(
    smollm2: BaseModelRecord, tmp_path: Path
) -> None:
    train = {
        "row_id": ["a", "b", "c"],
        "prompt": ["France:", "Italy:", "Japan:"],
        "completion": ["Paris", "Rome", "Tokyo"],
    }
    asked = {"row_id": ["x"], "prompt": ["Spain:"], "completion": ["Madrid"]}
    pd.DataFrame(train).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame(asked).to_parquet(tmp_path / "asked.parquet")
    base = Path(smollm2.folder)
    tokenizer = load_tokenizer(base)
    rows = encode_with_examples(
        tmp_path / "asked.parquet",
        tmp_path / "train.parquet",
        tokenizer=tokenizer,
        max_tokens=32,
        count=3,
        positions=2048,
        answer_tokens=24,
    ).rows
    options: dict[str, Any] = {
        "base": base,
        "artifact": None,
        "rung": Rung.BASELINE,
        "head": Head(Task.INSTRUCTION, ()),
        "rows": rows,
        "tokenizer": tokenizer,
        "generation": GenerationSettings(max_new_tokens=24),
    }
    table = score(**options)
    # A city, if not the capital, and nothing behind it.
    assert table.answers[0].isalpha()
    assert table.scores["completion_loss"][0] < 2.0
    cost = measure_serving(**options)
    assert cost.tokens_per_answer is not None and cost.tokens_per_answer < 6
    assert not cost.on_base and cost.artifact_bytes == 0 and cost.base_bytes > 500e6
