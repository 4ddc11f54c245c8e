"""Which rows each step sees: the data's own, and those replayed beside them."""

from dataclasses import dataclass
from typing import Any

from data_contracts.records.settings import TrainingSettings
from tasks.training.order import training_order


@dataclass(frozen=True)
class Mixture:
    """The rows of a training in the order in which they come."""

    rows: Any
    """Encoded rows, ``steps`` x effective batch size of them."""
    replayed_rows: int
    """How many of them are not the data's own."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.rows["input_ids"]]


def mix(own: Any, replayed: Any | None, *, steps: int, training: TrainingSettings, seed: int) -> Mixture:
    """``steps`` batches of ``own`` rows, so many of each replaced as the settings replay.

    Both kinds come in an order of their own that depends on ``seed`` and the lengths alone, so that every
    rung sees the same rows in the same order. Inside a batch rows lie by length.
    """
    columns = ["input_ids", "labels"]
    aside = training.replayed_rows if replayed is not None else 0
    kept = training.effective_batch_size - aside
    lengths = [len(ids) for ids in own["input_ids"]]
    order = training_order(lengths, steps=steps, batch_size=kept, seed=seed)
    if replayed is None:
        return Mixture(own.select_columns(columns).select(order), 0)
    import datasets

    lengths += [len(ids) for ids in replayed["input_ids"]]
    others = training_order(lengths[len(own) :], steps=steps, batch_size=aside, seed=seed)
    mixed: list[int] = []
    for step in range(steps):
        batch = order[step * kept : (step + 1) * kept]
        batch += [len(own) + index for index in others[step * aside : (step + 1) * aside]]
        mixed += sorted(batch, key=lambda index: lengths[index])
    together = datasets.concatenate_datasets([own.select_columns(columns), replayed.select_columns(columns)])
    return Mixture(together.select(mixed), len(others))
