"""A decoder and an encoder, small, with rows that can be learnt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings, TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.fit import Fitted, fit
from tasks.training.loading import Head
from tasks.training.rungs import FullRung, PilotRung
from tests.tasks.training.conftest import Encoded, given_of
from tests.tasks.training.methods.tiny_models import VOCABULARY
from tests.tasks.training.test_fit import DIGEST, permitted, redeemed

ADAPTERS = ("lora", "rslora", "dora", "pissa", "adalora", "qlora", "adapter")
TRAINING = TrainingSettings(max_steps=20, effective_batch_size=16, micro_batch_size=16, curve_points=1)


def pilot_rung(method: str, **settings: Any) -> PilotRung:
    return PilotRung(PilotSettings(**{"method": method, "rank": 4, "alpha": 8, **settings}))


def weights_rung(method: str, adapter: Path | None = None, **settings: Any) -> FullRung:
    permit = permitted(rung=Rung(method))
    return FullRung(
        permit,
        redeemed(permit),
        run_id="run",
        snapshot=DIGEST,
        base_model=DIGEST,
        policy=DIGEST,
        settings=FullSettings(method=method, **settings),
        adapter=adapter,
    )


def train(rows: Encoded, rung: PilotRung | FullRung, artifact: Path, **changes: Any) -> Fitted:
    usual = {"training": TRAINING, "learning_rate": 5e-3 if isinstance(rung, PilotRung) else 1e-3}
    return fit(given_of(rows, rung, **{**usual, **changes}), artifact=artifact)


@pytest.fixture(scope="session")
def encoder(encoded: Encoded, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """MiniLM on real questions, without dropout, so that losses compare."""
    import json
    import shutil

    base = tmp_path_factory.mktemp("encoder") / "base"
    shutil.copytree(encoded.base, base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return replace(encoded, base=base)


@pytest.fixture(scope="session")
def decoder(encoded: Encoded, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """A Llama of three blocks with random weights, and rows whose answer repeats the prompt."""
    import torch
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    base = tmp_path_factory.mktemp("decoder") / "base"
    LlamaForCausalLM(config).save_pretrained(base)
    random = np.random.default_rng(0)
    # Few different tokens, so that twenty steps lower the loss on rows that were never seen.
    prompts = random.integers(3, 9, size=(192, 6)).tolist()

    def rows(chosen: list[list[int]]) -> Any:
        return Dataset.from_dict(
            {
                "input_ids": [prompt + prompt for prompt in chosen],
                "labels": [[IGNORED_LABEL] * len(prompt) + prompt for prompt in chosen],
            }
        )

    return Encoded(
        base, Head(Task.INSTRUCTION, ()), encoded.tokenizer, rows(prompts[:160]), rows(prompts[160:])
    )


@pytest.fixture(params=["encoder", "decoder"])
def rows(request: pytest.FixtureRequest) -> Encoded:
    found: Encoded = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def ids() -> Any:
    """(batch, tokens)"""
    import torch

    return torch.randint(VOCABULARY, (3, 9), generator=torch.Generator().manual_seed(3))
