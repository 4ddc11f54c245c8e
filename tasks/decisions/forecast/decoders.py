"""The shapes of models that generate text, from their configuration.

What a block keeps was read off transformers' forward passes under PyTorch's rules of what each operation
saves (``tools/autograd/derivatives.yaml``), and is held against a real backward pass by the tests.
"""

from collections.abc import Mapping
from typing import Any

from tasks.decisions.forecast.reading import Config
from tasks.decisions.forecast.shapes import Block, Linear, ModelShape

LLAMA_LIKE: Mapping[str, Mapping[str, Any]] = {
    "llama": {},
    "mistral": {},
    "smollm3": {"tie_word_embeddings": True},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"head_dim": 128, "norms_of_heads": True},
    "gemma": {"tie_word_embeddings": True, "head_dim": 256},
    "gemma3_text": {
        "tie_word_embeddings": True,
        "head_dim": 256,
        "norms_of_heads": True,
        "norms_after": True,
    },
}
"""Model types with RMS norms, rotary positions and a gated feed-forward part, and how they differ."""

GPT2: Mapping[str, Any] = {
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
    "attn_pdrop": 0.1,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
}


def llama_like(config: Config, *, labels: int) -> ModelShape:
    """Llama and its kin; ``labels`` 0 for a model that generates."""
    width, vocabulary = config.number("hidden_size"), config.number("vocab_size")
    tied = config.flag("tie_word_embeddings")
    block = _llama_block(config, width)
    return ModelShape(
        architecture=str(config.get("model_type")),
        width=width,
        vocabulary=vocabulary,
        embeddings=vocabulary * width,
        blocks=(block,) * config.number("num_hidden_layers"),
        outside=(),
        outside_other=width,
        head=(Linear("score", width, labels),) if labels else (),
        output=None if labels else Linear("lm_head", width, vocabulary),
        tied=tied,
        kept=width,
        kept_for_norms=2 * width,
    )


def _llama_block(config: Config, width: int) -> Block:
    heads = config.number("num_attention_heads")
    groups = config.number("num_key_value_heads", heads)
    head = config.number("head_dim", width // heads)
    inner = config.number("intermediate_size")
    query, key = heads * head, groups * head
    bias, mlp_bias = config.flag("attention_bias"), config.flag("mlp_bias")
    qkv_bias = bias or config.flag("qkv_bias")
    norms = 4 if config.flag("norms_after") else 2
    # Per token: the input of each norm; rotated queries, keys and values repeated for every head and the
    # attention's answer (for the fused kernel); the gate before and after its activation, and what it gates.
    kept = norms * width + 4 * query
    kept_for_norms = norms * width
    if config.flag("norms_of_heads"):
        kept += query + key
        kept_for_norms += query + key
    return Block(
        linears=(
            Linear("q_proj", width, query, qkv_bias, reads="attention"),
            Linear("k_proj", width, key, qkv_bias, reads="attention"),
            Linear("v_proj", width, key, qkv_bias, reads="attention"),
            Linear("o_proj", query, width, bias),
            Linear("gate_proj", width, inner, mlp_bias, reads="feed-forward"),
            Linear("up_proj", width, inner, mlp_bias, reads="feed-forward"),
            Linear("down_proj", inner, width, mlp_bias, reads="gated"),
        ),
        other_parameters=norms * width + (2 * head if config.flag("norms_of_heads") else 0),
        kept=kept,
        kept_inner=3 * inner,
        kept_for_norms=kept_for_norms,
        matrices=1,
        heads=1,
        grouped_heads=heads if groups < heads else 0,
        inner=inner,
    )


def gpt2(config: Config, *, labels: int) -> ModelShape:
    """GPT-2; its layers are transposed ones, which bitsandbytes leaves alone."""
    width, vocabulary = config.number("n_embd"), config.number("vocab_size")
    inner = config.number("n_inner", 4 * width)
    heads = config.number("n_head")
    dropped = config.share("attn_pdrop") > 0.0
    block = Block(
        linears=(
            Linear("c_attn", width, 3 * width, True, reads="attention", quantisable=False),
            Linear("c_proj", width, width, True, reads="heads" if dropped else None, quantisable=False),
            Linear("c_fc", width, inner, True, reads="feed-forward", quantisable=False),
            Linear("c_proj", inner, width, True, reads="activated", quantisable=False),
        ),
        other_parameters=4 * width,
        kept=2 * width
        + (2 * width if config.share("resid_pdrop") > 0.0 else 0)
        + (3 * width if dropped else 6 * width),
        kept_inner=4 * inner,
        kept_for_norms=0,
        matrices=3 * heads if dropped else 1,
        heads=heads if dropped else 1,
        inner=inner,
    )
    return ModelShape(
        architecture="gpt2",
        width=width,
        vocabulary=vocabulary,
        embeddings=(vocabulary + config.number("n_positions")) * width,
        blocks=(block,) * config.number("n_layer"),
        outside=(),
        outside_other=2 * width,
        head=(Linear("score", width, labels),) if labels else (),
        output=None if labels else Linear("lm_head", width, vocabulary),
        tied=True,
        kept=2 * width,
        kept_for_norms=width,
    )
