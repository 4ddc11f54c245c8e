"""The adapters compute what is published: https://arxiv.org/abs/1902.00751, section 2.1.

A block's output is worked out here from the raw weights, in double precision so that 1e-6 leaves no room for
a different formula; that the adapters take the base's precision is part of it.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import get_peft_model

from tasks.training.methods.bottleneck import BottleneckConfig
from tests.tasks.training.methods.tiny_models import adapted, tiny

Weights = dict[str, torch.Tensor]


def gelu(x: torch.Tensor) -> torch.Tensor:
    """The tanh form, https://arxiv.org/abs/1606.08415, equation 2."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def adapter(weights: Weights, layer: str, h: torch.Tensor) -> torch.Tensor:
    """h + W_up f(W_down h + b_down) + b_up"""
    w_down, b_down = (weights[f"{layer}.bottleneck_down.default.{part}"] for part in ("weight", "bias"))
    w_up, b_up = (weights[f"{layer}.bottleneck_up.default.{part}"] for part in ("weight", "bias"))
    return h + gelu(h @ w_down.T + b_down) @ w_up.T + b_up


def seen(model: Any, *modules: str, ids: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What went into each module and what came out, in one pass over ``ids``."""
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, arguments: Any, options: Any, output: Any) -> None:
            given = arguments[0] if arguments else options["hidden_states"]
            found[name] = (given, output[0] if isinstance(output, tuple) else output)

        return hook

    handles = [
        model.get_submodule(name).register_forward_hook(keep(name), with_kwargs=True) for name in modules
    ]
    with torch.no_grad():
        model(ids)
    for handle in handles:
        handle.remove()
    return found


def test_a_bert_block_is_the_published_one(ids: torch.Tensor) -> None:
    model = adapted(tiny("bert").double(), bottleneck_size=5)
    block = "base_model.model.bert.encoder.layer.1"
    w: Weights = dict(model.named_parameters())
    found = seen(model, block, f"{block}.attention.self", ids=ids)

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def layer_norm(name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = torch.sqrt(centred.square().mean(-1, keepdim=True) + 1e-12)
        return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    x, attended = found[block][0], found[f"{block}.attention.self"][1]
    projected = linear(f"{block}.attention.output.dense.base_layer", attended)
    h = layer_norm(
        f"{block}.attention.output.LayerNorm", adapter(w, f"{block}.attention.output.dense", projected) + x
    )
    inner = torch.nn.functional.gelu(linear(f"{block}.intermediate.dense", h))
    projected = linear(f"{block}.output.dense.base_layer", inner)
    expected = layer_norm(f"{block}.output.LayerNorm", adapter(w, f"{block}.output.dense", projected) + h)
    assert torch.allclose(found[block][1], expected, rtol=0, atol=1e-6)


def test_a_llama_block_is_the_published_one(ids: torch.Tensor) -> None:
    model = adapted(tiny("llama").double(), bottleneck_size=5)
    block = "base_model.model.model.layers.1"
    w: Weights = dict(model.named_parameters())
    attention = f"{block}.self_attn.o_proj"
    found = seen(model, block, f"{attention}.base_layer", ids=ids)

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-6) * w[f"{block}.{name}.weight"]

    x, projected = found[block][0], found[f"{attention}.base_layer"][1]
    h = x + adapter(w, attention, projected)
    y = norm("post_attention_layernorm", h)
    gate, up = (y @ w[f"{block}.mlp.{name}.weight"].T for name in ("gate_proj", "up_proj"))
    projected = (gate * torch.sigmoid(gate) * up) @ w[f"{block}.mlp.down_proj.base_layer.weight"].T
    expected = h + adapter(w, f"{block}.mlp.down_proj", projected)
    assert torch.allclose(found[block][1], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2"])
@settings(max_examples=8, deadline=None)
@given(m=st.integers(1, 40), heads_width=st.integers(1, 8), layers=st.integers(1, 3))
def test_each_block_has_twice_2md_d_m_parameters(kind: str, m: int, heads_width: int, layers: int) -> None:
    d = 4 * heads_width
    model = get_peft_model(tiny(kind, width=d, layers=layers), BottleneckConfig(bottleneck_size=m))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == layers * 2 * (2 * m * d + d + m)


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2"])
def test_training_starts_near_the_base(kind: str, ids: torch.Tensor) -> None:
    model = tiny(kind, width=64)
    with torch.no_grad():
        base = model(ids).logits
        model = get_peft_model(model, BottleneckConfig(bottleneck_size=16)).eval()
        assert torch.norm(model(ids).logits - base) < 1e-2 * torch.norm(base)
        for name, parameter in model.named_parameters():
            if "bottleneck_up" in name:
                parameter.zero_()
        assert torch.allclose(model(ids).logits, base, rtol=0, atol=1e-6)


def test_the_first_weights_are_drawn_as_published() -> None:
    """Normal with deviation 1e-2, cut at two deviations, which leaves 0.8796 of it; biases zero."""
    model = get_peft_model(tiny("llama", width=256), BottleneckConfig(bottleneck_size=64))
    parts = {name: p.detach() for name, p in model.named_parameters() if "bottleneck_" in name}
    assert all(not p.any() for name, p in parts.items() if name.endswith("bias"))
    weights = [p for name, p in parts.items() if name.endswith("weight")]
    assert len(weights) == 8
    for weight in weights:
        assert 0.0199 < weight.abs().max() <= 0.02
        assert weight.std() == pytest.approx(0.8796e-2, rel=0.03)
        assert abs(weight.mean()) < 3e-4


def test_the_seed_fixes_the_first_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        model = tiny("bert")
        torch.manual_seed(seed)
        model = get_peft_model(model, BottleneckConfig(bottleneck_size=4))
        return torch.cat([p.flatten() for n, p in model.named_parameters() if "bottleneck_" in n])

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


def test_two_active_adapters_follow_one_another(ids: torch.Tensor) -> None:
    model = adapted(tiny("llama", layers=1).double(), bottleneck_size=5)
    model.add_adapter("second", BottleneckConfig(bottleneck_size=3))
    layer = "base_model.model.model.layers.0.mlp.down_proj"
    model.base_model.set_adapter(["default", "second"])
    weights: Weights = dict(model.named_parameters())
    second = {name.replace(".second.", ".default."): p for name, p in weights.items() if ".second." in name}
    found = seen(model, layer, f"{layer}.base_layer", ids=ids)
    expected = adapter(second, layer, adapter(weights, layer, found[f"{layer}.base_layer"][1]))
    assert torch.allclose(found[layer][1], expected, rtol=0, atol=1e-6)
