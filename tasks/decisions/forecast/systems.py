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

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def system_for(config: Mapping[str, Any]) -> System:
    """A processor that trains in float32, and a checkpoint as ``config.json`` says it is stored."""
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return replace(PROCESSOR, checkpoint_bytes=_BYTES.get(stored, 4))
