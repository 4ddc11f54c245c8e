"""The machine that a result was made on."""

import os
from typing import Any

from tasks.evidence.environment import capture_environment


def machine(*packages: str) -> dict[str, Any]:
    """Processor, cores, memory, how busy it is besides, Python, and the ``packages`` that matter."""
    captured = capture_environment()
    return {
        "processor": captured.processor,
        "cores": captured.processor_count,
        "memory_gib": round(captured.memory_bytes / 2**30, 1),
        "load_average_of_15_minutes": round(os.getloadavg()[2], 1),
        "python": captured.python,
        "packages": {name: captured.packages[name] for name in packages},
    }
