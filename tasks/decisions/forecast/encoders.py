"""The shapes of encoders with a classifier's head, from their configuration."""

from collections.abc import Mapping
from typing import Any

from tasks.decisions.forecast.reading import Config
from tasks.decisions.forecast.shapes import Block, Linear, ModelShape

BERT: Mapping[str, Any] = {
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
    "max_position_embeddings": 512,
}
DISTILBERT: Mapping[str, Any] = {"dropout": 0.1, "attention_dropout": 0.1, "max_position_embeddings": 512}


def bert(config: Config, *, labels: int) -> ModelShape:
    """BERT: a pooler, then one new layer. A checkpoint for masked words has no pooler, so it is new too."""
    width = config.number("hidden_size")
    pooler = Linear("dense", width, width, bias=True, each_token=False)
    new = any("MaskedLM" in str(name) for name in config.get("architectures") or ())
    return _bert_like(
        config,
        outside=() if new else (pooler,),
        head=(*((pooler,) if new else ()), _classifier(width, labels)),
    )


def roberta(config: Config, *, labels: int) -> ModelShape:
    """RoBERTa: no pooler, and two new layers."""
    width = config.number("hidden_size")
    new = Linear("dense", width, width, bias=True, each_token=False)
    return _bert_like(config, outside=(), head=(new, _classifier(width, labels)))


def _classifier(width: int, labels: int) -> Linear:
    return Linear("classifier", width, labels, bias=True, each_token=False)


def _bert_like(config: Config, *, outside: tuple[Linear, ...], head: tuple[Linear, ...]) -> ModelShape:
    width, vocabulary = config.number("hidden_size"), config.number("vocab_size")
    rows = vocabulary + config.number("max_position_embeddings") + config.number("type_vocab_size")
    block = post_norm_block(
        ("query", "key", "value", "dense", "dense", "dense"),
        width=width,
        inner=config.number("intermediate_size"),
        heads=config.number("num_attention_heads"),
        attention_dropout=config.share("attention_probs_dropout_prob"),
        dropouts=2 if config.share("hidden_dropout_prob") > 0.0 else 0,
    )
    return ModelShape(
        architecture=str(config.get("model_type")),
        width=width,
        vocabulary=vocabulary,
        embeddings=rows * width,
        blocks=(block,) * config.number("num_hidden_layers"),
        outside=outside,
        outside_other=2 * width,
        head=head,
        output=None,
        tied=True,
        kept_for_norms=2 * width,
    )


def distilbert(config: Config, *, labels: int) -> ModelShape:
    """DistilBERT: two new layers, and one dropout a block."""
    width, vocabulary = config.number("dim"), config.number("vocab_size")
    block = post_norm_block(
        ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"),
        width=width,
        inner=config.number("hidden_dim"),
        heads=config.number("n_heads"),
        attention_dropout=config.share("attention_dropout"),
        dropouts=1 if config.share("dropout") > 0.0 else 0,
    )
    return ModelShape(
        architecture="distilbert",
        width=width,
        vocabulary=vocabulary,
        embeddings=(vocabulary + config.number("max_position_embeddings")) * width,
        blocks=(block,) * config.number("n_layers"),
        outside=(),
        outside_other=2 * width,
        head=(
            Linear("pre_classifier", width, width, bias=True, each_token=False),
            _classifier(width, labels),
        ),
        output=None,
        tied=True,
        kept_for_norms=2 * width,
    )


def post_norm_block(
    names: tuple[str, str, str, str, str, str],
    *,
    width: int,
    inner: int,
    heads: int,
    attention_dropout: float,
    dropouts: int,
) -> Block:
    """A block of BERT's kind, with biases and its norms behind the residual additions.

    Dropout inside attention rules the fused kernel out. The plain one keeps scaled queries and keys, values,
    and three matrices a head: the softmax, the mask of the dropout as float32, and their product.
    """
    query, key, value, output, up, down = names
    dropped = attention_dropout > 0.0
    return Block(
        linears=(
            Linear(query, width, width, True, reads="block"),
            Linear(key, width, width, True, reads="block"),
            Linear(value, width, width, True, reads="block"),
            Linear(output, width, width, True, reads="heads" if dropped else None),
            Linear(up, width, inner, True, reads="feed-forward"),
            Linear(down, inner, width, True, reads="activated"),
        ),
        other_parameters=4 * width,
        kept=(2 + dropouts + (3 if dropped else 4)) * width,
        kept_inner=inner,
        kept_for_norms=0,
        matrices=3 * heads if dropped else 1,
        heads=heads if dropped else 1,
        inner=inner,
    )


def modernbert(config: Config, *, labels: int) -> ModelShape:
    """ModernBERT: norms before, rotary positions, a gated feed-forward part; the first block has one norm."""
    width, vocabulary = config.number("hidden_size"), config.number("vocab_size")
    first, other = (_modern_block(config, width, norms) for norms in (1, 2))
    norm = width * (2 if config.flag("norm_bias") else 1)
    return ModelShape(
        architecture="modernbert",
        width=width,
        vocabulary=vocabulary,
        embeddings=vocabulary * width,
        blocks=(first, *(other,) * (config.number("num_hidden_layers") - 1)),
        outside=(Linear("dense", width, width, config.flag("classifier_bias"), each_token=False),),
        outside_other=3 * norm,
        head=(_classifier(width, labels),),
        output=None,
        tied=True,
        kept=width,
        kept_for_norms=width,
    )


def _modern_block(config: Config, width: int, norms: int) -> Block:
    inner = config.number("intermediate_size")
    bias, mlp_bias = config.flag("attention_bias"), config.flag("mlp_bias")
    return Block(
        linears=(
            Linear("Wqkv", width, 3 * width, bias, reads="attention"),
            Linear("Wo", width, width, bias),
            Linear("Wi", width, 2 * inner, mlp_bias, reads="feed-forward"),
            Linear("Wo", inner, width, mlp_bias, reads="gated"),
        ),
        other_parameters=norms * width * (2 if config.flag("norm_bias") else 1),
        # Values are a view that keeps the whole projection; queries and keys are rotated copies.
        kept=norms * width + 6 * width,
        kept_inner=3 * inner,
        kept_for_norms=0,
        matrices=1,
        heads=1,
        inner=inner,
    )
