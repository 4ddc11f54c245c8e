"""Scores of a classifier, from log probabilities, (rows, labels), and the right labels, (rows,)."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Labels = NDArray[np.int64]


def accuracy(predicted: Labels, truth: Labels) -> Values:
    """1 where the label is right, (rows,)."""
    right: Values = (np.asarray(predicted) == np.asarray(truth)).astype(np.float64)
    return right


def macro_f1(predicted: Labels, truth: Labels) -> float:
    return _f1(predicted, truth, "macro")


def micro_f1(predicted: Labels, truth: Labels) -> float:
    return _f1(predicted, truth, "micro")


def cross_entropy(log_probabilities: Values, truth: Labels) -> Values:
    """Negative log probability of the right label, (rows,), in nats."""
    values = np.asarray(log_probabilities, dtype=np.float64)
    right: Values = -values[np.arange(len(values)), np.asarray(truth)]
    return right


def brier_score(log_probabilities: Values, truth: Labels) -> Values:
    """Squared distance of the probabilities from the truth, summed over labels, (rows,), 0 to 2.

    Brier (1950) sums over the labels; for two labels this is twice what scikit-learn calls so by default.
    """
    errors = np.exp(np.asarray(log_probabilities, dtype=np.float64))
    errors[np.arange(len(errors)), np.asarray(truth)] -= 1.0
    distances: Values = np.square(errors).sum(axis=1)
    return distances


def right_label_probability(log_probabilities: Values, truth: Labels) -> Values:
    """(rows,)"""
    return np.exp(-cross_entropy(log_probabilities, truth))


def top_label_probability(log_probabilities: Values) -> Values:
    """Probability of the label that is answered, (rows,)."""
    highest: Values = np.exp(np.asarray(log_probabilities, dtype=np.float64).max(axis=1))
    return highest


def _f1(predicted: Labels, truth: Labels, average: str) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average=average, zero_division=0.0))
