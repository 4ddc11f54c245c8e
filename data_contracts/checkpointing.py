"""Where training leaves what it would go on from, so that the place may be any that keeps folders whole."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint."""

    step: int
    """Optimizer steps that were finished when it was saved."""
    folder: Path


@dataclass(frozen=True)
class FoundCheckpoints:
    """What a search found."""

    newest: Checkpoint | None
    """The last whole one; ``None`` where training begins anew."""
    damaged: tuple[str, ...]
    """A sentence for each that was passed over because it is not whole."""


class CheckpointPlace(Protocol):
    """Keeps the last checkpoints of one training."""

    def save(self, step: int, fill: Callable[[Path], None]) -> None:
        """Keeps what ``fill`` writes into the empty folder it is given: whole, or not at all.

        Raises:
            OSError: it could not be written, for example because the disk is full; those before are kept.
        """

    def find(self) -> FoundCheckpoints:
        """The newest checkpoint that is as it was saved."""
