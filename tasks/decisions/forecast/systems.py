"""The systems that are forecast for, and what was measured of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.decisions.forecast.memory import System

PROCESSOR = System(
    libraries_bytes=800_000_000,
    waste_of_adapters=0.75,
    waste_of_plain_attention=0.95,
    waste_of_quantised=0.95,
    waste_of_weights=0.35,
    largest_in_heap=32 * 2**20,
)
"""Training on a processor in float32, inside a run, under glibc.

The shares of heap lost are measured (``benchmarks/forecast.json``), not derived: glibc 2.36 cannot place an
aligned value in a gap of exactly its size, so that what lies free between the values kept grows over the
first steps. Values above 32 MiB, its DEFAULT_MMAP_THRESHOLD_MAX, have pages of their own.
"""

GPU = System(
    libraries_bytes=800_000_000,
    mapped=False,
    grouped_attention_is_plain=True,
)
"""Training on an NVIDIA GPU in float32: the libraries are CUDA's context and their workspaces.

No fused kernel takes float32 where queries share keys, so that the matrices of attention are kept.
"""

GPU_IN_BFLOAT16 = System(
    libraries_bytes=800_000_000,
    value_bytes=2,
    mapped=False,
    waste_of_adapters=0.2,
    waste_of_plain_attention=0.2,
    waste_of_quantised=0.75,
    waste_of_adalora=0.75,
    waste_of_weights=0.2,
    largest_in_heap=2**62,
)
"""The same in bfloat16. What norms and adapters keep in float32 beside it is measured
(``benchmarks/gpu_fit.json``): a fifth of the values kept; three quarters on a base in four bits, whose norms
peft makes float32, and for AdaLoRA, which multiplies in float32."""

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def system_for(config: Mapping[str, Any], *, on_gpu: bool = False, precision: str = "float32") -> System:
    """What trains, in its ``precision``, and a checkpoint as ``config.json`` says it is stored."""
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    if on_gpu:
        system = GPU_IN_BFLOAT16 if precision == "bfloat16" else GPU
    else:
        system = replace(PROCESSOR, value_bytes=_BYTES[precision])
    return replace(system, checkpoint_bytes=_BYTES.get(stored, 4))
