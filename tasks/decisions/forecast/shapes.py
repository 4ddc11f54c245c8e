"""What a model is made of, as far as a forecast needs to know.

Figures are counts of values, so that any precision can be laid over them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """One linear layer."""

    name: str
    """Last part of its full name, as ``target_modules`` has it."""
    inputs: int
    outputs: int
    bias: bool = False
    reads: str | None = None
    """Names the tensor it reads, which is kept for the gradients of its weights or of its adapter; layers
    that read the same one keep it once. ``None``: the operation before keeps it in any case."""
    each_token: bool = True
    """Whether every token passes through it; the layers of a classifier's head see one vector a row."""
    quantisable: bool = True
    """bitsandbytes keeps it in four bits."""

    @property
    def parameters(self) -> int:
        return self.weights + (self.outputs if self.bias else 0)

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Block:
    """One transformer block, and what its forward pass keeps for the backward pass."""

    linears: tuple[Linear, ...]
    other_parameters: int
    """Weights outside linear layers: of norms."""
    kept: int
    """Values a token kept wherever a gradient passes, whether or not weights of the block are trained, in
    tensors about as wide as the model."""
    kept_inner: int
    """The same in tensors as wide as the feed-forward part."""
    kept_for_norms: int
    """Further values a token where the norms' weights are trained."""
    matrices: int
    """Further values for each pair of tokens of a row: attention matrices and masks."""
    heads: int
    """In one such matrix; 1 for a mask that all heads share."""
    inner: int
    """Width of the feed-forward part."""
    grouped_heads: int = 0
    """Heads, where several share one key; 0 where each has its own."""

    @property
    def parameters(self) -> int:
        return self.other_parameters + sum(linear.parameters for linear in self.linears)


@dataclass(frozen=True)
class ModelShape:
    """A model for one task. Weights that two places share count once."""

    architecture: str
    width: int
    vocabulary: int
    embeddings: int
    """Parameters of all embeddings."""
    blocks: tuple[Block, ...]
    outside: tuple[Linear, ...]
    """Linear layers that the checkpoint holds outside blocks and head, such as an encoder's pooler."""
    outside_other: int
    """Weights of norms outside the blocks."""
    head: tuple[Linear, ...]
    """A classifier's layers that the checkpoint does not hold: trained whole by every rung."""
    output: Linear | None
    """From hidden states to the vocabulary; ``None`` for a classifier."""
    tied: bool
    """``output`` shares its weights with the embeddings."""
    kept: int = 0
    """Values a token kept outside the blocks."""
    kept_for_norms: int = 0

    @property
    def parameters(self) -> int:
        output = 0 if self.output is None or self.tied else self.output.parameters
        return (
            self.embeddings
            + sum(block.parameters for block in self.blocks)
            + sum(linear.parameters for linear in self.outside)
            + self.outside_other
            + self.head_parameters
            + output
        )

    @property
    def head_parameters(self) -> int:
        return sum(linear.parameters for linear in self.head)

    @property
    def adaptable(self) -> tuple[Linear, ...]:
        """All that ``all-linear`` adapts: every linear layer but the output and a new head."""
        return (*(linear for block in self.blocks for linear in block.linears), *self.outside)

    @property
    def logits(self) -> int:
        """Values a token that the loss is taken on; 0 for a classifier, whose few are not worth counting."""
        return self.vocabulary if self.output is not None else 0
