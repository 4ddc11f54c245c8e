"""What a piece of work takes: wall time, processor time of all threads, and peak memory."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_contracts.records.base import Cost

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Measurement:
    """Filled when the ``with`` block of ``measured`` ends."""

    cost: Cost
    peak_so_far_bytes: int = 0
    """Highest peak seen inside the block before an inner measurement reset it."""
    gpu_peak_so_far_bytes: int = 0
    """The same of a GPU's memory."""


_open: list[Measurement] = []
"""Blocks being measured, outermost first; a run measures one thing inside another in one thread."""


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measures the block. Peak memory is the process's resident peak, reset at entry on Linux.

    Blocks may be nested: an outer one keeps what an inner one resets.
    """
    measurement = Measurement()
    _note_peak()
    _reset_peak()
    _open.append(measurement)
    wall, processor = time.monotonic(), _processor_seconds()
    try:
        yield measurement
    finally:
        _note_peak()
        _open.remove(measurement)
        measurement.cost = Cost(
            seconds=round(time.monotonic() - wall, 3),
            cpu_seconds=round(_processor_seconds() - processor, 3),
            peak_memory_bytes=measurement.peak_so_far_bytes,
            peak_gpu_memory_bytes=measurement.gpu_peak_so_far_bytes,
        )


def _note_peak() -> None:
    peak, gpu_peak = peak_memory_bytes(), _gpu_peak_bytes()
    for measurement in _open:
        measurement.peak_so_far_bytes = max(measurement.peak_so_far_bytes, peak)
        measurement.gpu_peak_so_far_bytes = max(measurement.gpu_peak_so_far_bytes, gpu_peak)


def _reset_peak() -> None:
    # Elsewhere the peak is that of the process so far, which is never too small.
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def _processor_seconds() -> float:
    """Of this process and of those it started that have ended."""
    return sum(os.times()[:4])


def _cuda() -> Any:
    """``torch.cuda`` where something has used it already; measuring loads and starts nothing."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def _gpu_peak_bytes() -> int:
    """Reserved at most, since it was reset last, by torch's allocator on the GPU in use."""
    cuda = _cuda()
    return 0 if cuda is None else cuda.max_memory_reserved()


def peak_memory_bytes() -> int:
    """The resident peak of this process, since it was reset last."""
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
