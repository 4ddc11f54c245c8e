"""The shape of a model whose arithmetic is not known: its linear layers, and a guess of what it keeps."""

import re
from collections.abc import Sequence

from tasks.decisions.forecast.shapes import Block, Linear, ModelShape

_HEADS = ("classifier", "score", "pre_classifier")


def generic_shape(
    architecture: str,
    layers: Sequence[Linear],
    *,
    output: Linear | None,
    tied: bool,
    parameters: int,
    embeddings: int,
    width: int,
    vocabulary: int,
) -> ModelShape:
    """A shape from ``layers``, whose names are full ones here: a number in the name tells the block.

    Each layer is taken to keep what it reads and what it answers, which is more than most blocks do.
    """
    blocks: dict[int, list[Linear]] = {}
    outside, head = [], []
    for layer in layers:
        number = re.search(r"\.(\d+)\.", f".{layer.name}.")
        short = Linear(
            layer.name.rpartition(".")[2],
            layer.inputs,
            layer.outputs,
            layer.bias,
            reads=layer.name,
            each_token=number is not None,
            quantisable=layer.quantisable,
        )
        if number is not None:
            blocks.setdefault(int(number[1]), []).append(short)
        elif layer.name.partition(".")[0] in _HEADS:
            head.append(short)
        else:
            outside.append(short)
    counted = sum(layer.parameters for layer in layers) + embeddings
    counted += 0 if output is None or tied else output.parameters
    return ModelShape(
        architecture=architecture,
        width=width,
        vocabulary=vocabulary,
        embeddings=embeddings,
        blocks=tuple(_block(blocks[index], width) for index in sorted(blocks)),
        outside=tuple(outside),
        outside_other=parameters - counted,
        head=tuple(head),
        output=output,
        tied=tied,
        kept=width,
        kept_for_norms=2 * width,
    )


def _block(linears: Sequence[Linear], width: int) -> Block:
    return Block(
        linears=tuple(linears),
        other_parameters=0,
        kept=4 * width + sum(linear.outputs for linear in linears),
        kept_inner=0,
        kept_for_norms=2 * width,
        matrices=1,
        heads=1,
        inner=max(linear.outputs for linear in linears),
    )
