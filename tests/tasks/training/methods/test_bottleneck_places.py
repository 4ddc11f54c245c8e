"""Where adapters go: twice in every block of a known architecture, and nowhere by guess."""

from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, BartConfig, BartModel

from tasks.training.methods.bottleneck import BottleneckConfig, BottleneckLayer
from tests.tasks.training.methods.tiny_models import VOCABULARY, adapted, tiny

LAYERS = 2
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
ENCODERS = ["roberta", "electra", "deberta-v2", "mpnet", "modernbert", "distilbert"]
DECODERS = [
    *("mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi", "phi3", "olmo2", "granite", "smollm3"),
    *("starcoder2", "opt", "gptj", "gpt_neo", "gpt_neox", "bloom", "falcon"),
]
OWN_NAMES: dict[str, dict[str, Any]] = {
    "modernbert": {"cls_token_id": 0, "sep_token_id": 2},
    "distilbert": {"dim": 16, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 24},
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16},
    "gptj": {"n_embd": 16, "n_layer": LAYERS, "n_head": 2, "rotary_dim": 4},
    "gpt_neo": {"num_layers": LAYERS, "num_heads": 2, "attention_types": [[["global"], LAYERS]]},
    "bloom": {"n_layer": LAYERS, "n_head": 2},
    "gemma2": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8},
}


def known(kind: str) -> Any:
    options = {**COMMON, **OWN_NAMES.get(kind, {})}
    if kind in {"distilbert", "gptj", "gpt_neo", "bloom"}:
        options = {name: value for name, value in options.items() if not name.startswith("num_hidden")}
    factory = AutoModelForMaskedLM if kind in ENCODERS else AutoModelForCausalLM
    return factory.from_config(AutoConfig.for_model(kind, **options)).eval()


@pytest.mark.parametrize("kind", [*ENCODERS, *DECODERS])
def test_known_architectures_are_adapted_twice_a_block(kind: str, ids: torch.Tensor) -> None:
    """Each adapter answers once a pass, with the model's width: none is bypassed."""
    model = get_peft_model(known(kind), BottleneckConfig(bottleneck_size=3))
    calls: list[int] = []
    for module in model.modules():
        if isinstance(module, BottleneckLayer):
            module.register_forward_hook(lambda *call: calls.append(call[2].shape[-1]))
    model(ids)
    assert calls == [16] * (2 * LAYERS)


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2"])
def test_only_adapters_and_saved_modules_are_trained(kind: str, ids: torch.Tensor) -> None:
    head = "classifier" if kind == "bert" else None
    model = adapted(tiny(kind), bottleneck_size=3, modules_to_save=[head] if head else None)
    model(ids).logits.sum().backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in model.named_parameters() if p.requires_grad}
    beside = {name for name in with_gradient if "bottleneck_" not in name}
    saved = {f"base_model.model.classifier.modules_to_save.default.{part}" for part in ("weight", "bias")}
    assert beside == (saved if head else set())
    assert len(with_gradient - beside) == 2 * LAYERS * 4


def test_layer_norms_of_the_blocks_can_be_trained_too_as_the_authors_do() -> None:
    model = adapted(tiny("bert"), bottleneck_size=3, modules_to_save=["output.LayerNorm"])
    norms = {name for name, p in model.named_parameters() if p.requires_grad and "LayerNorm" in name}
    assert len(norms) == 2 * LAYERS * 2
    assert not any("embeddings" in name for name in norms)


class Unknown(nn.Module):
    """Blocks named as nobody does."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"mix": nn.Linear(4, 4), "widen": nn.Linear(4, 4)}) for _ in range(2)
        )
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block["widen"](block["mix"](x))
        return self.head(x)


def test_an_unknown_architecture_is_refused_with_its_linear_layers() -> None:
    with pytest.raises(ValueError, match="target_modules") as error:
        get_peft_model(Unknown(), BottleneckConfig())
    assert "blocks.*.mix, blocks.*.widen, head" in str(error.value)


def test_places_of_an_unknown_architecture_can_be_named() -> None:
    model = get_peft_model(Unknown(), BottleneckConfig(bottleneck_size=3, target_modules=["widen", "mix"]))
    assert model.peft_config["default"].target_modules == ["mix", "widen"]
    assert sum(isinstance(module, BottleneckLayer) for module in model.modules()) == 4


def test_a_block_without_one_of_the_places_is_refused() -> None:
    model = tiny("llama")
    del model.model.layers[1].mlp.down_proj
    with pytest.raises(ValueError, match="no known places"):
        get_peft_model(model, BottleneckConfig())


def test_attention_to_another_sequence_is_refused() -> None:
    model = BartModel(BartConfig(vocab_size=60, d_model=16, encoder_layers=1, decoder_layers=1))
    with pytest.raises(ValueError, match="no known places"):
        get_peft_model(model, BottleneckConfig())


def test_what_is_no_linear_layer_is_refused() -> None:
    with pytest.raises(TypeError, match="found:    Embedding"):
        get_peft_model(tiny("llama"), BottleneckConfig(target_modules=["embed_tokens"]))


def test_a_bottleneck_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0"):
        BottleneckConfig(bottleneck_size=0)
