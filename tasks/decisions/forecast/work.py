"""How much arithmetic training is, and what it takes where something was timed.

A forward pass multiplies each token with each weight once: 2 operations a weight and token. The backward pass
does it again for the gradients of what the layers read, and once more for the gradients of what is trained
(Kaplan et al., 2020, section 2.1). Attention adds 4 operations a pair of tokens and unit of width, forward.
"""

from dataclasses import dataclass
from enum import StrEnum

from tasks.decisions.forecast.shapes import ModelShape
from tasks.decisions.forecast.trainable import Method, trained_parameters

_ADAMW = 15
"""Operations a trained parameter and optimizer step; they matter for full fine-tuning on small batches."""


class Timing(StrEnum):
    """Where a forecast of time comes from."""

    PROBE = "probe"
    """A few steps of this very job, timed just now."""
    HISTORY = "history"
    """Trainings of this base that lie in the output folder."""
    NOT_TIMED = "not timed"
    """Arithmetic over the speed of an ordinary processor core."""


UNTIMED_OPERATIONS_PER_SECOND = 5e10
"""Of one core of an ordinary server in float32, reached in training. A guess of the right order: 5.6e10 to
9.1e10 over 21 trainings of ``benchmarks/forecast.json``."""


@dataclass(frozen=True)
class Speed:
    """How fast this machine trains this base."""

    operations_per_second: float
    """Of one processor."""
    processors: float
    """That work at once: processor seconds over seconds."""
    timing: Timing


def operations_per_step(shape: ModelShape, method: Method, *, rows: int, tokens: float) -> float:
    """Floating-point operations of one optimizer step on ``rows`` rows of ``tokens`` tokens on average."""
    linears = sum(each.weights for each in shape.adaptable if each.each_token)
    output = shape.vocabulary * shape.width if shape.output is not None else 0
    base = linears + output
    chosen = method.trained_blocks(shape)
    first = min(chosen, default=0) if not method.adapts else 0
    passed = 1.0 - first / max(1, len(shape.blocks))
    trained = trained_parameters(shape, method)
    weights = base if method.rung == "full" else trained
    added = trained if method.adapts else 0
    per_token = 2.0 * (base + added) + 2.0 * (linears * passed + output + added) + 2.0 * weights
    attention = 4.0 * tokens * shape.width * len(shape.blocks) * (1.0 + 2.0 * passed)
    return rows * tokens * (per_token + attention) + _ADAMW * trained


def ratio_of_steps(shape: ModelShape, method: Method, timed: Method, *, rows: int, tokens: float) -> float:
    """Processor time of a step of ``method`` over one of ``timed``, of the same rows."""
    return operations_per_step(shape, method, rows=rows, tokens=tokens) / operations_per_step(
        shape, timed, rows=rows, tokens=tokens
    )
