"""What a training is given, wherever it takes place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.records.settings import TrainingSettings
from tasks.training.loading import Head
from tasks.training.rungs import FullRung, PilotRung


@dataclass(frozen=True)
class TrainingInputs:
    """Everything that the trained weights follow from."""

    base: Path
    """Folder of the base model."""
    base_name: str
    """Written into an adapter as the model it belongs to."""
    base_digest: str
    """Of the base's content; written into the header of an adapter's file."""
    head: Head
    rung: PilotRung | FullRung
    train: Any
    """Encoded rows: a dataset with ``input_ids`` and ``labels``."""
    tune: Any
    """Likewise; the loss on them makes the learning curve."""
    tokenizer: Any
    training: TrainingSettings
    learning_rate: float
    """At its peak."""
    seed: int
    replayed: Any | None = None
    """General rows, encoded likewise, of which ``training.replay`` mixes a share into every step."""
