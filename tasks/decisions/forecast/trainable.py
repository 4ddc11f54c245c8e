"""What each rung trains."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from data_contracts.records.rungs import ADALORA_START, LORA_FAMILY
from tasks.decisions.forecast.shapes import Block, Linear, ModelShape

ADAPTERS = (*LORA_FAMILY, "adapter")
"""Rungs that leave the base frozen."""
RUNGS = (*ADAPTERS, "layers", "hybrid", "full")
"""Every rung that can be forecast, the base aside, in the order of the ladder."""


@dataclass(frozen=True)
class Method:
    """How one rung is set."""

    rung: str
    rank: int = 16
    """Inner dimension of an adapter."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    blocks: int | tuple[int, ...] = 4
    """Which transformer blocks ``layers`` and ``hybrid`` train: the last so many, or these."""

    @property
    def quantised(self) -> bool:
        return self.rung == "qlora"

    @property
    def adapts(self) -> bool:
        return self.rung in ADAPTERS

    def adapted(self, linears: Iterable[Linear]) -> tuple[Linear, ...]:
        """Those of ``linears`` that get matrices of their own."""
        if self.rung not in LORA_FAMILY:
            return ()
        names = self.target_modules
        return tuple(each for each in linears if names == "all-linear" or each.name in names)

    def trained_blocks(self, shape: ModelShape) -> frozenset[int]:
        """Blocks all of whose weights are trained. For ``hybrid`` the lowest ones that it may choose, where
        the pilot will say which: with them a gradient passes through most of the model."""
        count = len(shape.blocks)
        if self.rung == "full":
            return frozenset(range(count))
        if self.rung not in ("layers", "hybrid"):
            return frozenset()
        if not isinstance(self.blocks, int):
            return frozenset(index for index in self.blocks if index < count)
        wanted = min(self.blocks, count)
        first = 0 if self.rung == "hybrid" else count - wanted
        return frozenset(range(first, first + wanted))

    @property
    def inner_rank(self) -> int:
        """Of the matrices that are allocated."""
        return math.ceil(ADALORA_START * self.rank) if self.rung == "adalora" else self.rank


def trained_parameters(shape: ModelShape, method: Method) -> int:
    """Parameters that an optimizer step changes, a classifier's new head among them."""
    if method.rung == "full":
        return shape.parameters
    chosen = method.trained_blocks(shape)
    of_blocks = sum(block.parameters for index, block in enumerate(shape.blocks) if index in chosen)
    return of_blocks + adapter_parameters(shape, method) + shape.head_parameters


def adapter_parameters(shape: ModelShape, method: Method) -> int:
    """Parameters that the rung adds to the model."""
    if method.rung == "adapter":
        # Two a block, each down with a bias and up with a bias (Houlsby et al., 2019, section 2.1).
        each = 2 * shape.width * method.rank + method.rank + shape.width
        return 2 * each * len(shape.blocks)
    return sum(_added_to(linear, method) for linear in method.adapted(shape.adaptable))


def _added_to(linear: Linear, method: Method) -> int:
    rank = method.inner_rank
    low_rank = rank * (linear.inputs + linear.outputs)
    if method.rung == "dora":
        return low_rank + linear.outputs  # the magnitudes
    if method.rung == "adalora":
        return low_rank + rank  # the singular values
    return low_rank


def kept_by_adapter(block: Block, method: Method, width: int) -> int:
    """Values a token that the adapters of one block keep beside what the layers read."""
    rank = method.inner_rank
    if method.rung == "adapter":
        return 2 * (width + 2 * rank)  # what goes down, and before and after the activation
    adapted = method.adapted(block.linears)
    per_layer = len(adapted) * rank
    if method.rung == "dora":
        # Both halves of what the magnitudes scale (peft.tuners.lora.dora).
        return per_layer + 2 * sum(linear.outputs for linear in adapted)
    return per_layer
