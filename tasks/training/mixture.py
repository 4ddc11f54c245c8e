"""Which rows each step sees: the data's own, and those replayed beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.records.settings import TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.order import training_order

_COLUMNS = ["input_ids", "labels"]
_AT_ONCE = 1000
"""Rows that are Python lists at the same time."""


@dataclass(frozen=True)
class Mixture:
    """The rows of a training in the order in which they come."""

    rows: Any
    """Encoded rows, ``steps`` x effective batch size of them."""
    lengths: Sequence[int]
    """Tokens of each of them."""
    supervised: Sequence[int]
    """Tokens of each, or labels of a classification task, that the loss is taken on."""
    supervised_a_pass: int
    """Of all of the data's own rows together, once."""
    replayed_a_step: int
    """How many rows of each step are not the data's own."""


def mix(own: Any, replayed: Any | None, *, steps: int, training: TrainingSettings, seed: int) -> Mixture:
    """``steps`` batches of ``own`` rows, so many of each replaced as the settings replay.

    Both kinds come in an order of their own that depends on ``seed`` and the lengths alone, so that every
    rung sees the same rows in the same order. Inside a mixed batch rows lie by length.
    """
    rows = own.select_columns(_COLUMNS)
    if replayed is not None:
        import datasets

        rows = datasets.concatenate_datasets([rows, replayed.select_columns(_COLUMNS)])
    lengths, supervised = _counted(rows)
    aside = training.replayed_rows if replayed is not None else 0
    kept = training.effective_batch_size - aside
    order = training_order(lengths[: len(own)].tolist(), steps=steps, batch_size=kept, seed=seed)
    if aside:
        general = training_order(lengths[len(own) :].tolist(), steps=steps, batch_size=aside, seed=seed)
        order = _in_batches(order, [len(own) + index for index in general], lengths, kept, aside)
    return Mixture(
        rows=rows.select(order),
        lengths=lengths[order].tolist(),
        supervised=supervised[order].tolist(),
        supervised_a_pass=int(supervised[: len(own)].sum()),
        replayed_a_step=aside,
    )


def _in_batches(
    own: list[int], general: list[int], lengths: NDArray[np.int64], kept: int, aside: int
) -> list[int]:
    mixed: list[int] = []
    for step in range(len(own) // kept):
        batch = own[step * kept : (step + 1) * kept] + general[step * aside : (step + 1) * aside]
        mixed += sorted(batch, key=lambda index: lengths[index])
    return mixed


def _counted(rows: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens, and what the loss is taken on, of each row."""
    tokens: list[int] = []
    supervised: list[int] = []
    for batch in rows.iter(batch_size=_AT_ONCE):
        tokens += [len(ids) for ids in batch["input_ids"]]
        supervised += [_supervised(labels) for labels in batch["labels"]]
    return np.array(tokens), np.array(supervised)


def _supervised(labels: Any) -> int:
    # A row's first token is predicted from nothing; a label of a classification task is a single number.
    return 1 if isinstance(labels, int) else sum(label != IGNORED_LABEL for label in labels[1:])
