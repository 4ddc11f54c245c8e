"""What computes here: the processor, or an NVIDIA GPU that this torch can use."""

import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from data_contracts.records.evidence import Accelerator
from data_contracts.records.settings import Precision


@cache
def accelerator() -> Accelerator | None:
    """The GPU that a single process trains and scores on; ``None`` where the processor does.

    torch is imported only where there may be one.
    """
    if shutil.which("nvidia-smi") is None and not Path("/dev/nvidiactl").exists():
        return None
    import torch

    if not torch.cuda.is_available():
        return None  # a build for processors, or a driver too old for it
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Accelerator(
        name=card.name,
        count=torch.cuda.device_count(),
        memory_bytes=card.total_memory,
        computes_bfloat16=torch.cuda.is_bf16_supported(including_emulation=False),
    )


def precision_here(asked: Precision) -> Precision:
    """``asked``, or where that is ``auto`` what this machine is fast in: never ``auto``.

    A processor takes ten times as long in bfloat16 as in float32.
    """
    if asked is not Precision.AUTO:
        return asked
    found = accelerator()
    return Precision.BFLOAT16 if found is not None and found.computes_bfloat16 else Precision.FLOAT32


def torch_dtype(precision: Precision) -> Any:
    """torch's own name for it."""
    import torch

    return torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32


def placement() -> dict[str, Any]:
    """What ``from_pretrained`` is told, so that weights go to the GPU as they are read; nothing without one.

    Where several processes train, each is one of torchrun's, whose model is parted or copied later.
    """
    import torch

    if accelerator() is None or "TORCHELASTIC_RUN_ID" in os.environ:
        return {}
    return {"device_map": {"": torch.cuda.current_device()}}
