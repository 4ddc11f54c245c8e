"""Scores are paired by row, and scores that say nothing are refused."""

import numpy as np
import pytest

from data_contracts.errors import PairingError
from tasks.decisions.statistics import (
    difference_interval,
    mean_interval,
    pair,
    seeded_difference_interval,
    seeded_mean_interval,
)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("scores", [[], [0.5, float("nan")], [float("inf")]])
def test_scores_that_say_nothing_are_refused(scores: list[float], binary: bool) -> None:
    values = np.asarray(scores)
    for refused in (
        lambda: mean_interval(values, binary=binary, alpha=0.05),
        lambda: difference_interval(values, np.zeros(len(values)), binary=binary, alpha=0.05),
        lambda: seeded_mean_interval(np.stack([values, values]), binary=binary, alpha=0.05),
        lambda: seeded_difference_interval(
            np.stack([values, values]), np.zeros((1, len(values))), binary=binary, alpha=0.05
        ),
    ):
        with pytest.raises(ValueError, match=r"no rows|is nan|is inf"):
            refused()


def test_pairing_is_by_row_not_by_place() -> None:
    first, second = pair(["a", "b"], np.array([1.0, 2.0]), ["b", "a"], np.array([20.0, 10.0]))
    assert (second - first).tolist() == [9.0, 18.0]


@pytest.mark.parametrize(
    ("ids", "told"), [(["a", "c"], "one side only"), (["a", "a"], "twice"), (["a"], "one side only")]
)
def test_scores_of_different_rows_are_never_paired(ids: list[str], told: str) -> None:
    with pytest.raises(PairingError, match=told):
        pair(["a", "b"], np.zeros(2), ids, np.zeros(len(ids)))


def test_columns_of_different_length_are_never_paired() -> None:
    with pytest.raises(PairingError, match="3 scores cannot be paired with 4"):
        difference_interval(np.zeros(3), np.zeros(4), binary=True, alpha=0.05)
    with pytest.raises(PairingError, match="3 scores cannot be paired with 4"):
        seeded_difference_interval(np.zeros((2, 3)), np.zeros((2, 4)), binary=True, alpha=0.05)
    with pytest.raises(PairingError, match="2 seeds cannot be paired with 3"):
        seeded_difference_interval(np.zeros((2, 4)), np.zeros((3, 4)), binary=True, alpha=0.05)
    with pytest.raises(PairingError, match="2 cluster names cannot be paired with 3"):
        mean_interval(np.zeros(3), binary=False, alpha=0.05, clusters=["a", "b"])
