"""The arithmetic of shapes, held against the models and adapters that the libraries build."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_contracts.records.evidence import BaseModelRecord
from tasks.decisions.forecast import Linear, Method, ModelShape, generic_shape, shape_of
from tasks.decisions.forecast.activations import kept_values
from tasks.decisions.forecast.trainable import trained_parameters
from tasks.training.skeleton import skeleton_of

LAYERS, LABELS, ROWS, TOKENS = 6, 5, 3, 40
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "vocab_size": 300,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODERS: dict[str, dict[str, Any]] = {
    "LlamaConfig": {**GROUPED, "tie_word_embeddings": True},
    "LlamaConfig untied, with biases": {**GROUPED, "attention_bias": True, "mlp_bias": True},
    "MistralConfig": {**GROUPED, "head_dim": 16},
    "Qwen2Config": GROUPED,
    "Qwen3Config": {**GROUPED, "head_dim": 32},
    "GemmaConfig": {**GROUPED, "head_dim": 16},
    "Gemma3TextConfig": {**GROUPED, "head_dim": 16},
    "SmolLM3Config": {**GROUPED, **SPECIAL},
    "GPT2Config": {"n_embd": 64, "n_layer": LAYERS, "n_head": 4, "vocab_size": 300, "n_positions": 64},
    "GPT2Config without dropout": {
        "n_embd": 64,
        "n_layer": LAYERS,
        "n_head": 4,
        "vocab_size": 300,
        "n_positions": 64,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
    },
}
ENCODERS: dict[str, dict[str, Any]] = {
    "BertConfig": SMALL,
    "BertConfig without dropout": {
        **SMALL,
        "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": 0.0,
    },
    "RobertaConfig": {**SMALL, **SPECIAL},
    "DistilBertConfig": {"dim": 64, "hidden_dim": 160, "n_layers": LAYERS, "n_heads": 4, "vocab_size": 300},
    "ModernBertConfig": {**SMALL, **SPECIAL, "cls_token_id": 1, "sep_token_id": 2},
}
CASES = [
    *((name, values, 0) for name, values in DECODERS.items()),
    *((name, values, LABELS) for name, values in ENCODERS.items()),
    ("LlamaConfig", {**GROUPED, **SPECIAL}, LABELS),
]
ADAPTERS = ("lora", "dora", "adalora")


def build(name: str, values: dict[str, Any], labels: int) -> tuple[Any, ModelShape]:
    import transformers

    config = getattr(transformers, name.split()[0])(**values)
    shape = shape_of(json.loads(config.to_json_string()), labels=labels)
    assert shape is not None
    if labels:
        config.num_labels = labels
        return transformers.AutoModelForSequenceClassification.from_config(config), shape
    return transformers.AutoModelForCausalLM.from_config(config), shape


def adapted(model: Any, rung: str, labels: int) -> Any:
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    heads = {"classifier", "score", "pre_classifier"}
    fresh = [name for name, _ in model.named_modules() if name.partition(".")[0] in heads]
    # As our training has it: the innermost modules, which are the ones with weights.
    fresh = [name for name in fresh if not any(other.startswith(f"{name}.") for other in fresh)]
    common = {
        "target_modules": "all-linear",
        "task_type": "SEQ_CLS" if labels else "CAUSAL_LM",
        "modules_to_save": [name for name in fresh if hasattr(model.get_submodule(name), "weight")] or None,
        "exclude_modules": fresh or None,
    }
    if rung == "adalora":
        return get_peft_model(model, AdaLoraConfig(init_r=6, target_r=4, total_step=10, tinit=1, **common))
    return get_peft_model(model, LoraConfig(r=4, use_dora=rung == "dora", **common))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values", "labels"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES])
def test_parameters_are_exact_for_every_architecture_and_adapter(
    name: str, values: dict[str, Any], labels: int
) -> None:
    model, shape = build(name, values, labels)
    assert sum(parameter.numel() for parameter in model.parameters()) == shape.parameters
    for rung in ADAPTERS:
        trained = adapted(build(name, values, labels)[0], rung, labels)
        count = sum(parameter.numel() for parameter in trained.parameters() if parameter.requires_grad)
        assert count == trained_parameters(shape, Method(rung, rank=4)), rung


@pytest.mark.parametrize("blocks", [2, (0, 3)])
def test_parameters_of_some_blocks_are_exact(blocks: int | tuple[int, ...]) -> None:
    model, shape = build("ModernBertConfig", ENCODERS["ModernBertConfig"], LABELS)
    chosen = range(LAYERS - blocks, LAYERS) if isinstance(blocks, int) else blocks
    names = (*(f"model.layers.{index}." for index in chosen), "classifier.")
    count = sum(value.numel() for name, value in model.named_parameters() if name.startswith(names))
    assert count == trained_parameters(shape, Method("layers", blocks=blocks))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values", "labels"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES])
def test_values_kept_for_the_backward_pass_are_those_that_autograd_saves(
    name: str, values: dict[str, Any], labels: int
) -> None:
    for rung in ("full", *ADAPTERS):
        model, shape = build(name, values, labels)
        if rung != "full":
            model = adapted(model, rung, labels)
        kept = kept_values(shape, Method(rung, rank=4), rows=ROWS, tokens=TOKENS).total
        assert kept == pytest.approx(saved_values(model, labels), rel=0.03), rung


def saved_values(model: Any, labels: int) -> int:
    """Values that autograd saves of one padded batch, weights and logits aside."""
    import torch

    model.train()
    weights = {value.untyped_storage().data_ptr() for value in model.parameters()}
    saved: dict[int, Any] = {}

    def note(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        # What has no token in its shape is made of weights: DoRA's and AdaLoRA's products, gone at once.
        if storage.data_ptr() not in weights and storage.nbytes() // 4 % (ROWS * TOKENS) == 0:
            saved[storage.data_ptr()] = tensor
        return tensor

    ids = torch.randint(3, 300, (ROWS, TOKENS))
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0
    answers = torch.zeros(ROWS, dtype=torch.long) if labels else ids
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=mask, labels=answers)
    count = sum(tensor.untyped_storage().nbytes() // 4 for tensor in saved.values())
    return count if labels else count - ROWS * TOKENS * 300


def test_real_models_have_as_many_parameters(minilm: BaseModelRecord, smollm2: BaseModelRecord) -> None:
    for base, labels in ((minilm, LABELS), (smollm2, 0)):
        config = json.loads((Path(base.folder) / "config.json").read_text(encoding="utf-8"))
        shape = shape_of(config, labels=labels)
        assert shape is not None and len(shape.blocks) == base.layers
        skeleton = skeleton_of(config, labels=labels, source=base.source)
        assert skeleton.parameters == shape.parameters


def test_an_architecture_without_arithmetic_is_built_without_weights() -> None:
    import transformers

    config = transformers.ElectraConfig(**SMALL, embedding_size=32)
    values = json.loads(config.to_json_string())
    assert shape_of(values, labels=LABELS) is None
    skeleton = skeleton_of(values, labels=LABELS, source="electra")
    shape = generic_shape(
        "electra",
        [Linear(each.name, each.inputs, each.outputs, each.bias) for each in skeleton.linears],
        output=None,
        tied=skeleton.tied,
        parameters=skeleton.parameters,
        embeddings=skeleton.embeddings,
        width=64,
        vocabulary=300,
    )
    config.num_labels = LABELS
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert len(shape.blocks) == LAYERS
    # A guess that errs on the side of more.
    kept = kept_values(shape, Method("full"), rows=ROWS, tokens=TOKENS).total
    assert 0.7 < kept / saved_values(model, LABELS) < 2.0
