"""Figures of a model that predicts text, from each row's loss in nats a token and its number of tokens."""

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def completion_loss(nats_per_token: Values, tokens: NDArray[np.int64]) -> Values:
    """Each row's own mean, (rows,), in nats a token: a row counts the same however long it is."""
    return np.asarray(nats_per_token, dtype=np.float64)


def perplexity(nats_per_token: Values, tokens: NDArray[np.int64]) -> float:
    """e to the mean over all tokens of all rows; at most e to 700, near the largest float there is."""
    weights = np.asarray(tokens, dtype=np.float64)
    mean = float(np.dot(np.asarray(nats_per_token, dtype=np.float64), weights) / weights.sum())
    return math.exp(min(mean, 700.0))
