"""Running out of memory: recognising it, taking fewer rows at once, and saying what would help."""

from collections.abc import Iterator
from contextlib import contextmanager

from data_contracts.errors import TrainingMemoryError

WHAT_HELPS = (
    "lower model.max_tokens, take a lower pilot.rank or method qlora, end other programs, or use a machine "
    "with more memory"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory could not be had, on a GPU or on the processor."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return not isinstance(error, TrainingMemoryError)
    # oneDNN, which torch's processor kernels use, names no reason when it cannot get its buffers. Should it
    # mean something else, the error after the last attempt quotes it.
    no_buffer = isinstance(error, RuntimeError) and str(error).startswith("could not create a ")
    return no_buffer or (isinstance(error, Exception) and should_reduce_batch_size(error))


def fewer_rows(rows: int, effective_batch_size: int) -> int | None:
    """The largest divisor of the effective batch size up to half of ``rows``; ``None`` below one."""
    return next((size for size in range(rows // 2, 0, -1) if effective_batch_size % size == 0), None)


def release() -> None:
    """Gives back what the failed attempt held, as far as Python and the allocators let go of it."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def shortage_explained(what: str) -> Iterator[None]:
    """Turns whatever an allocator raises inside into one error that says what would help."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingMemoryError(
            f"Memory ran out: {what}.\n"
            f"    found:    {str(error).strip().splitlines()[0][:200] or type(error).__name__}\n"
            f"    to do:    {WHAT_HELPS}"
        ) from error
