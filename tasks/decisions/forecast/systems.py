"""The systems that are forecast for, and what was measured of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.decisions.forecast.memory import System

PROCESSOR = System(libraries_bytes=760_000_000)
"""Training on a processor in float32, inside a run."""

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def system_for(config: Mapping[str, Any]) -> System:
    """A processor that trains in float32, and a checkpoint as ``config.json`` says it is stored."""
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return replace(PROCESSOR, checkpoint_bytes=_BYTES.get(stored, 4))
