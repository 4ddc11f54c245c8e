"""What training one rung is expected to take, before any weight is loaded."""

from enum import StrEnum

from data_contracts.records.base import Record


class Moment(StrEnum):
    """When memory is highest."""

    LOADING = "loading"
    EVALUATION = "evaluation"
    BACKWARD_BEGINS = "backward pass begins"
    BACKWARD_ENDS = "backward pass ends"


class MemoryParts(Record):
    """The parts of a process's memory at one moment, in bytes; they add up to what the system shows."""

    moment: Moment
    libraries_bytes: int
    """The interpreter and its libraries."""
    weights_bytes: int
    """Base and adapters in full precision."""
    quantised_bytes: int
    """Weights in four bits, with the constants that scale them."""
    gradients_bytes: int
    optimizer_bytes: int
    """AdamW's two moments, and what a method keeps beside them."""
    activations_bytes: int
    """What the forward pass keeps for the backward pass."""
    logits_bytes: int
    """Of the vocabulary, and their copies for the loss and its gradient."""
    allocator_bytes: int
    """Freed, and not handed back to the system."""
    reclaimable_bytes: int
    """Pages of the checkpoint's file that are no longer needed; the system takes them back under pressure."""

    @property
    def total_bytes(self) -> int:
        """As resident memory shows it."""
        return self.needed_bytes + self.reclaimable_bytes

    @property
    def needed_bytes(self) -> int:
        """What the machine must have."""
        return (
            self.libraries_bytes
            + self.weights_bytes
            + self.quantised_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
            + self.logits_bytes
            + self.allocator_bytes
        )


class Forecast(Record):
    """One rung: what it trains, and the memory that it takes."""

    rung: str
    trained_parameters: int
    total_parameters: int
    """Of the model with whatever the rung adds to it."""
    artifact_bytes: int
    """Of the weights that would be saved."""
    memory: MemoryParts
    """At the moment when it is highest."""

    @property
    def peak_memory_bytes(self) -> int:
        """The highest resident memory of the process, as the system will show it."""
        return self.memory.total_bytes

    @property
    def needed_memory_bytes(self) -> int:
        """The least that the machine must have."""
        return self.memory.needed_bytes

    @property
    def trained_share(self) -> float:
        return self.trained_parameters / max(1, self.total_parameters)
