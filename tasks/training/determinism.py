"""Holding torch to algorithms that give the same result every time, where that costs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def deterministic_algorithms() -> Iterator[bool]:
    """On a processor torch is held to them inside; yields whether it is.

    A GPU would give up its fast attention kernels for it, and cuBLAS asks for an environment variable that
    must be set before the first use.
    """
    import torch

    filling: Any = torch.utils.deterministic

    if torch.cuda.is_available():
        yield torch.are_deterministic_algorithms_enabled()
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Filling new memory finds reads of it before a write; it costs time and changes no result.
    filling.fill_uninitialized_memory = False
    try:
        yield True
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        filling.fill_uninitialized_memory = fills
