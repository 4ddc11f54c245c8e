"""Which rung fits a machine, and what would make one fit that does not."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from data_contracts.records.forecast import Forecast
from data_contracts.records.rungs import LORA_FAMILY
from tasks.decisions.forecast.memory import Batch, System, forecast
from tasks.decisions.forecast.shapes import ModelShape
from tasks.decisions.forecast.trainable import Method

_SHORTEST_ROWS = 8
"""Tokens; what ``model.max_tokens`` may be at least."""


def first_that_fits(forecasts: Sequence[Forecast], available_memory_bytes: int) -> Forecast | None:
    """The first forecast within the memory; ``None`` if there is none."""
    return next((each for each in forecasts if each.needed_memory_bytes <= available_memory_bytes), None)


def what_would_fit(
    shape: ModelShape, method: Method, batch: Batch, system: System, available_memory_bytes: int
) -> tuple[str, ...]:
    """Changes of which each alone makes the rung fit, the mildest first; the last is more memory.

    Empty where it fits already.
    """

    def fits(changed_method: Method, changed_batch: Batch) -> bool:
        needed = forecast(shape, changed_method, changed_batch, system).needed_memory_bytes
        return needed <= available_memory_bytes

    if fits(method, batch):
        return ()
    changes = []
    smaller = [rows for rows in range(1, batch.rows) if _effective(batch) % rows == 0]
    rows = _largest(smaller, lambda rows: fits(method, with_rows(batch, rows)))
    if rows is not None:
        changes.append(f"training.micro_batch_size {rows} instead of {batch.rows}")
    tokens = _largest(
        range(_SHORTEST_ROWS, batch.tokens), lambda tokens: fits(method, replace(batch, tokens=tokens))
    )
    if tokens is not None:
        changes.append(f"model.max_tokens {tokens} instead of {batch.tokens}")
    if method.rung in LORA_FAMILY:
        rank = _largest(range(1, method.rank), lambda rank: fits(replace(method, rank=rank), batch))
        if rank is not None:
            changes.append(f"pilot.rank {rank} instead of {method.rank}")
    if not method.quantised and method.adapts and fits(replace(method, rung="qlora"), batch):
        changes.append("pilot.method qlora")
    needed = forecast(shape, method, batch, system).needed_memory_bytes
    missing = (needed - available_memory_bytes) / 2**30
    return (*changes, f"{missing:.1f} GiB more memory")


def with_rows(batch: Batch, rows: int) -> Batch:
    """As many rows an optimizer step, ``rows`` of them in memory at once."""
    return replace(batch, rows=rows, accumulated=_effective(batch) // rows)


def _effective(batch: Batch) -> int:
    return batch.rows * batch.accumulated


def _largest(values: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The largest of the ascending ``values`` that fits, where whatever is smaller fits too."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fits(values[middle]) else (low, middle)
    return values[low - 1] if low else None
