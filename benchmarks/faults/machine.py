"""The machine that a result was made on."""

from typing import Any

from tasks.evidence.environment import capture_environment

_PACKAGES = ("datasets", "great-expectations", "transformers")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, Python, and the packages that matter here."""
    captured = capture_environment()
    return {
        "processor": captured.processor,
        "cores": captured.processor_count,
        "memory_gib": round(captured.memory_bytes / 2**30, 1),
        "python": captured.python,
        "packages": {name: captured.packages[name] for name in _PACKAGES},
    }
