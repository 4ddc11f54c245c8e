"""What training is expected to take, from the model's shape and from what was timed already.

Simple on purpose: good enough to refuse what cannot fit, and to price full fine-tuning after a pilot was
timed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.records.rungs import Rung

_BYTES = 4
"""Of a float32 value."""
_QUANTISED_BYTES = 0.55
"""Of a weight in NF4 with double quantisation: 4 bits, and its share of the scales (QLoRA, 2023)."""
_TRAINED_BYTES = 16
"""Of a trained parameter: its value, its gradient, and AdamW's two moments, in float32."""
_ACTIVATIONS_PER_TOKEN = 34
"""Values kept for the backward pass, per token, layer and unit of width (Korthikanti et al., 2022, table 2:
34 sbh bytes in 16 bits are 17 sbh values, and a transformer without fused kernels keeps about twice that)."""
_FULL_OVER_PILOT = 1.35
"""Processor time of a step of full fine-tuning over one of LoRA: the gradients of all weights, and AdamW on
all of them. Measured here: 1.2 to 1.4."""
_BASELINE_BYTES = 1_500_000_000
"""The interpreter and its libraries."""


@dataclass(frozen=True)
class ModelShape:
    """What a forecast needs to know of a model."""

    parameters: int
    layers: int
    width: int
    vocabulary: int
    """0 for a model whose answers are labels."""


@dataclass(frozen=True)
class Forecast:
    """What training one rung is expected to take."""

    rung: Rung
    peak_memory_bytes: int


def forecast_memory(
    rung: Rung, shape: ModelShape, *, trained_parameters: int, rows: int, tokens: int
) -> Forecast:
    """Peak memory of a training step on ``rows`` rows of ``tokens`` tokens each, all weights in float32.

    Args:
        trained_parameters: of the adapter; for full fine-tuning the whole model is taken.
    """
    trained = shape.parameters if rung == Rung.FULL else trained_parameters
    frozen = 0 if rung == Rung.FULL else shape.parameters
    per_frozen = _QUANTISED_BYTES if rung == Rung.QLORA else _BYTES
    activations = rows * tokens * shape.layers * shape.width * _ACTIVATIONS_PER_TOKEN * _BYTES
    # Logits, their softmax and their gradient.
    answers = 3 * rows * tokens * shape.vocabulary * _BYTES
    total = _BASELINE_BYTES + trained * _TRAINED_BYTES + frozen * per_frozen + activations + answers
    return Forecast(rung=rung, peak_memory_bytes=int(total))


def adapter_parameters(shape: ModelShape, rank: int) -> int:
    """About how many LoRA on all linear layers adds: seven matrices a layer, of one width by up to four."""
    return 7 * shape.layers * rank * 3 * shape.width


def first_that_fits(forecasts: Sequence[Forecast], available_memory_bytes: int) -> Forecast | None:
    """The first forecast within the memory; ``None`` if there is none."""
    return next((each for each in forecasts if each.peak_memory_bytes <= available_memory_bytes), None)


def hours_of_full(pilot_processor_seconds: float, pilot_steps: int, full_steps: int) -> float:
    """Processor hours that full fine-tuning is expected to take, from a pilot that was timed."""
    return _FULL_OVER_PILOT * pilot_processor_seconds / max(1, pilot_steps) * full_steps / 3600.0


def reference_rate(width: int) -> float:
    """The usual peak learning rate of full fine-tuning for a model of this width.

    5e-5 at width 2000, falling with width to the power 0.78: fitted over fourteen Llama and Qwen models in
    LoRA Without Regret (2025), whose rate for LoRA is ten times this.
    """
    return float(f"{5e-5 * (2000 / width) ** 0.78:.2g}")
