"""What a forward pass keeps for the backward pass: counts of values, whatever their precision."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.decisions.forecast.shapes import Linear, ModelShape
from tasks.decisions.forecast.trainable import Method, adapter_parameters, kept_by_adapter


@dataclass(frozen=True)
class Kept:
    """Values that autograd keeps, by the size of the tensors they lie in."""

    narrow: int
    """In tensors about as wide as the model."""
    inner: int
    """In tensors as wide as the feed-forward part."""
    matrices: int
    """In attention matrices and masks."""

    @property
    def total(self) -> int:
        return self.narrow + self.inner + self.matrices


def kept_values(shape: ModelShape, method: Method, *, rows: int, tokens: int) -> Kept:
    """Values that autograd keeps of ``rows`` rows padded to ``tokens`` tokens, the logits aside.

    Blocks below the lowest one that is trained or adapted keep nothing: no gradient passes there.
    """
    chosen = method.trained_blocks(shape)
    passes = method.adapts and adapter_parameters(shape, method) > 0
    narrow = shape.kept + (shape.kept_for_norms if method.rung == "full" else 0)
    inner = matrices = 0
    for index, block in enumerate(shape.blocks):
        trained = index in chosen
        passes = passes or trained
        if not passes:
            continue
        read = _inputs(block.linears if trained else method.adapted(block.linears))
        narrow += block.kept + (block.kept_for_norms if trained else 0)
        narrow += sum(width for width in read if width != block.inner)
        narrow += kept_by_adapter(block, method, shape.width)
        inner += block.kept_inner + sum(width for width in read if width == block.inner)
        matrices += block.matrices * tokens
    count = rows * tokens
    return Kept(narrow * count, inner * count, matrices * count)


def _inputs(linears: Iterable[Linear]) -> tuple[int, ...]:
    """Widths of the distinct tensors that these layers read and keep."""
    return tuple({each.reads: each.inputs for each in linears if each.reads is not None}.values())


def passing_values(shape: ModelShape, *, rows: int, tokens: int) -> int:
    """Values alive for a moment while a gradient passes a block: three of its largest tensors.

    They are the gradients of what an operation answered and of what it read, and a product between.
    """
    widest = max((max(block.inner, _matrix(block.heads, tokens)) for block in shape.blocks), default=0)
    return 3 * widest * rows * tokens


def answering_values(shape: ModelShape, *, rows: int, tokens: int) -> int:
    """Values alive for a moment where nothing is kept, as at an evaluation."""
    return 3 * max((block.inner for block in shape.blocks), default=0) * rows * tokens


def _matrix(heads: int, tokens: int) -> int:
    return heads * tokens if heads > 1 else 0


def in_heap(kept: Kept, shape: ModelShape, *, rows: int, tokens: int, value_bytes: int, largest: int) -> int:
    """Those of the values kept whose tensors have at most ``largest`` bytes."""
    widest = max((block.inner for block in shape.blocks), default=0)
    heads = max((block.heads for block in shape.blocks), default=0)
    one = rows * tokens * value_bytes
    return (
        (kept.narrow if one * shape.width <= largest else 0)
        + (kept.inner if one * widest <= largest else 0)
        + (kept.matrices if one * heads * tokens <= largest else 0)
    )
