"""Per-example scores: their shapes, which of them say nothing, and how two columns are paired."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import PairingError

Scores = NDArray[np.float64]  # (rows,)
SeedScores = NDArray[np.float64]  # (seeds, rows)


def pair(
    first_ids: Sequence[str], first: Scores, second_ids: Sequence[str], second: Scores
) -> tuple[Scores, Scores]:
    """Both score columns in the row order of ``first``.

    Raises:
        PairingError: a row occurs twice, or only on one side.
    """
    if len(set(first_ids)) != len(first_ids) or len(set(second_ids)) != len(second_ids):
        raise PairingError("a row was scored twice; scores cannot be paired")
    missing = set(first_ids) ^ set(second_ids)
    if missing:
        raise PairingError(
            f"{len(missing)} rows were scored on one side only, {sorted(missing)[0]} for one; "
            "scores of different rows are never paired"
        )
    position = {row_id: index for index, row_id in enumerate(second_ids)}
    order = np.fromiter((position[row_id] for row_id in first_ids), dtype=np.int64, count=len(first_ids))
    return first, second[order]


def refuse_unusable(scores: NDArray[np.float64]) -> None:
    """Raises ValueError where there is no row, or a score that is not finite."""
    if scores.size == 0:
        raise ValueError("no rows were scored: an interval needs at least one")
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"score {bad} is {scores.flat[bad]}: a mean over it would say nothing")


def refuse_unpaired(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    """Raises PairingError where the last axes, the rows, differ in length."""
    if first.shape[-1] != second.shape[-1]:
        raise PairingError(f"{first.shape[-1]} scores cannot be paired with {second.shape[-1]}")
