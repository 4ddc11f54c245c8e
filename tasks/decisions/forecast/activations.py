"""What a forward pass keeps for the backward pass: counts of values, whatever their precision."""

from collections.abc import Iterable

from tasks.decisions.forecast.shapes import Linear, ModelShape
from tasks.decisions.forecast.trainable import Method, adapter_parameters, kept_by_adapter


def kept_values(shape: ModelShape, method: Method, *, rows: int, tokens: int) -> int:
    """Values that autograd keeps of ``rows`` rows padded to ``tokens`` tokens, the logits aside.

    Blocks below the lowest one that is trained or adapted keep nothing: no gradient passes there.
    """
    chosen = method.trained_blocks(shape)
    adapting = method.adapts and adapter_parameters(shape, method) > 0
    kept, passes = 0, False
    for index, block in enumerate(shape.blocks):
        trained = index in chosen
        passes = passes or trained or adapting
        if not passes:
            continue
        kept += block.kept + (block.kept_for_norms if trained else 0)
        kept += _inputs(block.linears if trained else method.adapted(block.linears))
        kept += kept_by_adapter(block, method, shape.width)
        kept += block.kept_per_position * tokens
    kept += shape.kept + (shape.kept_for_norms if method.rung == "full" else 0)
    return kept * rows * tokens


def passing_values(shape: ModelShape) -> int:
    """Values a token of what is alive only for a moment, in the widest block."""
    return max((block.passing for block in shape.blocks), default=0)


def _inputs(linears: Iterable[Linear]) -> int:
    """Values a token of the distinct tensors that these layers read and keep."""
    distinct = {each.reads: each.inputs for each in linears if each.reads is not None}
    return sum(distinct.values())
