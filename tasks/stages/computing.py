"""Which of this machine's memories holds a training, and in which precision it computes."""

import os

from data_contracts.records.settings import RunSettings
from tasks.training.devices import accelerator, precision_here


def resolved(settings: RunSettings) -> RunSettings:
    """The same settings with the precision that this machine computes in, where it was left to it.

    What a run did stands in its request, and the same settings ask for other work on another kind of machine.
    """
    model = settings.model.model_copy(update={"precision": precision_here(settings.model.precision)})
    return settings.model_copy(update={"model": model})


def memory_bytes() -> int:
    """Of the GPU that one process trains on; of this machine where there is none."""
    found = accelerator()
    if found is not None:
        return found.memory_bytes
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_of_each(processes: int) -> int:
    """What each of so many processes on this host can have: a GPU of its own, or its share of the memory."""
    return memory_bytes() if accelerator() is not None else memory_bytes() // processes
