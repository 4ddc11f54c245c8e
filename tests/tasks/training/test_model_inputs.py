"""What a tokenizer writes and its model cannot read is told before a weight is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.settings import PilotSettings
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.base_model import resolve_base_model
from tasks.training.methods.possible import require_possible
from tasks.training.model_inputs import require_readable_tokens


@pytest.fixture
def copied(tiny_llama: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_llama, tmp_path / "model")


def check(folder: Path, task: Task = Task.COMPLETION, max_tokens: int = 64, tokenizer: Any = None) -> None:
    base = resolve_base_model(str(folder), folder.parent / "cache")
    require_readable_tokens(base, tokenizer or load_tokenizer(folder), task, max_tokens)


def edit(folder: Path, name: str, **changes: Any) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def test_a_model_with_its_own_tokenizer_is_readable(tiny_llama: Path, minilm: BaseModelRecord) -> None:
    check(tiny_llama)
    check(Path(minilm.folder), Task.CLASSIFICATION)


def test_an_added_token_without_an_embedding_is_named_with_both_figures(copied: Path) -> None:
    tokenizer = load_tokenizer(copied)
    tokenizer.add_tokens(["<new>", "<newer>"])
    tokenizer.save_pretrained(copied)
    with pytest.raises(InputError) as refused:
        check(copied)
    for word in ("30,522", "30,524", "2 tokens beyond", "'<new>' (30,522)", "resize_token_embeddings"):
        assert word in str(refused.value)


def test_a_configuration_that_disagrees_with_the_weights_is_refused(copied: Path) -> None:
    edit(copied, "config.json", vocab_size=30_600)
    with pytest.raises(InputError) as refused:
        check(copied)
    assert "vocab_size 30,522" in str(refused.value) and "vocab_size 30,600" in str(refused.value)


@pytest.mark.parametrize(("max_tokens", "fits"), [(30, True), (31, False)])
def test_positions_behind_the_paddings_are_not_counted(
    copied: Path, minilm: BaseModelRecord, max_tokens: int, fits: bool
) -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = RobertaConfig(vocab_size=30_522, max_position_embeddings=32, pad_token_id=1, **sizes)
    folder = copied.parent / "roberta"
    RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer = load_tokenizer(Path(minilm.folder))
    if fits:
        check(folder, Task.CLASSIFICATION, max_tokens, tokenizer)
        return
    with pytest.raises(InputError, match="at most 30, the positions"):
        check(folder, Task.CLASSIFICATION, max_tokens, tokenizer)


def test_a_decoder_that_classifies_needs_something_to_pad_with(copied: Path) -> None:
    tokenizer = load_tokenizer(copied)
    tokenizer.pad_token = None
    tokenizer.eos_token = None
    tokenizer.save_pretrained(copied)
    check(copied)
    with pytest.raises(InputError, match="a padding token"):
        check(copied, Task.CLASSIFICATION)


def test_a_tokenizer_without_a_pad_token_pads_with_its_end(copied: Path) -> None:
    tokenizer = load_tokenizer(copied)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(copied)
    assert load_tokenizer(copied).pad_token_id == tokenizer.eos_token_id
    check(copied, Task.CLASSIFICATION)


Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        lambda folder: (folder / "tokenizer.json").write_text("{"),
    ],
    ids=["none", "damaged"],
)
def test_a_missing_tokenizer_is_said_to_be_missing(copied: Path, damage: Damage) -> None:
    damage(copied)
    with pytest.raises(InputError, match="tokenizer beside its weights"):
        load_tokenizer(copied)


@pytest.mark.parametrize("task", [Task.INSTRUCTION, Task.COMPLETION])
def test_an_encoder_is_refused_for_what_must_be_generated(minilm: BaseModelRecord, task: Task) -> None:
    with pytest.raises(InputError, match=f"a model that generates text, for task {task.value}"):
        require_possible(minilm, task, PilotSettings())
