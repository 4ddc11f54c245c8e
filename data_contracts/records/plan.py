"""What ``lorafirst plan`` says before anything is trained."""

from data_contracts.records.base import Record
from data_contracts.records.forecast import Forecast


class RungPlan(Record):
    """One rung of the ladder."""

    forecast: Forecast
    fits: bool
    """Into the memory of this machine."""
    changes: tuple[str, ...]
    """Each alone would make it fit; empty where it fits."""
    needs_permit: bool
    """It updates base weights, which takes the escalation gate's permit."""
    hours: float | None
    """Of one training, by the clock; ``None`` where the number of rows is unknown."""
    processor_hours: float | None
    cost: float | None
    """``hours`` times the price of this machine's hour; ``None`` without a price."""


class Plan(Record):
    """Every rung, and the one that the fit gate would take."""

    model: str
    architecture: str
    exact: bool
    """The arithmetic of this architecture is known; otherwise its activations are a cautious guess."""
    parameters: int
    rows: int | None
    """Trained on, in about; ``None`` where the data cannot be counted without being fetched."""
    steps: int | None
    micro_batch_size: int
    max_tokens: int
    mean_tokens: float
    """A row, in about; memory is forecast for ``max_tokens``, time for these."""
    timing: str
    """Where the time comes from: ``probe``, ``history`` or ``not timed``."""
    available_memory_bytes: int
    on_gpu: bool
    """Whether that is a GPU's memory."""
    machine_hour_price: float | None
    rungs: tuple[RungPlan, ...]
    chosen: str | None
    """What the fit gate would take; ``None``: the run would end as infeasible."""
    sentence: str
    """Why."""
