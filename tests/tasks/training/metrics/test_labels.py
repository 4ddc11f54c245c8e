"""Scores of a classifier are scikit-learn's, and calibration is what its definition says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_contracts.records.metrics import METRICS
from tasks.stages.calibration import draw_reliability
from tasks.training.metrics import labels
from tasks.training.metrics.calibration import BINS, expected_calibration_error, reliability
from tasks.training.metrics.catalogue import Inputs, scores_of


def drawn(rows: int, classes: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log probabilities (rows, classes) and right labels (rows,)."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=rows).clip(1e-9)
    return np.log(probabilities / probabilities.sum(1, keepdims=True)), generator.integers(0, classes, rows)


def test_they_are_scikit_learns() -> None:
    from sklearn import metrics

    logs, truth = drawn(200, 4)
    predicted = logs.argmax(1)
    assert labels.accuracy(predicted, truth).mean() == metrics.accuracy_score(truth, predicted)
    assert labels.macro_f1(predicted, truth) == metrics.f1_score(truth, predicted, average="macro")
    assert labels.micro_f1(predicted, truth) == pytest.approx(metrics.accuracy_score(truth, predicted))
    loss = metrics.log_loss(truth, np.exp(logs), labels=range(4))
    assert labels.cross_entropy(logs, truth).mean() == pytest.approx(loss)
    brier = metrics.brier_score_loss(truth, np.exp(logs), labels=range(4), scale_by_half=False)
    assert labels.brier_score(logs, truth).mean() == pytest.approx(brier)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_they_lie_in_their_range(rows: int, classes: int, seed: int) -> None:
    logs, truth = drawn(rows, classes, seed)
    found = scores_of(Inputs.PROBABILITIES, logs, truth) | scores_of(Inputs.LABELS, logs.argmax(1), truth)
    assert sorted(found) == ["accuracy", "brier_score", "cross_entropy"]
    assert all(METRICS[name].within_range(value) for name, values in found.items() for value in values)
    right, top = labels.right_label_probability(logs, truth), labels.top_label_probability(logs)
    assert (right <= top + 1e-12).all() and np.allclose(right, np.exp(logs)[np.arange(rows), truth])


def test_a_sure_wrong_label_costs_the_most() -> None:
    logs = np.log(np.array([[1.0 - 1e-12, 1e-12]]))
    assert labels.brier_score(logs, np.array([1]))[0] == pytest.approx(2.0)
    assert labels.brier_score(logs, np.array([0]))[0] == pytest.approx(0.0)


def test_calibration_of_known_bins() -> None:
    # 30 rows: of the 15 at .9 nine are right, of the 15 at .6 all.
    confidence = np.array([0.9] * 15 + [0.6] * 15)
    right = np.array([1.0] * 9 + [0.0] * 6 + [1.0] * 15)
    found = reliability(confidence, right)
    assert [(each.rows, each.mean_confidence, each.accuracy) for each in found.bins] == [
        (15, pytest.approx(0.6), 1.0),
        (15, pytest.approx(0.9), pytest.approx(0.6)),
    ]
    assert found.expected_calibration_error == pytest.approx((0.4 * 15 + 0.3 * 15) / 30)


def test_bins_hold_equally_many_rows() -> None:
    confidence = np.random.default_rng(1).uniform(0.5, 1.0, 1_500)
    bins = reliability(confidence, np.ones(1_500)).bins
    assert [each.rows for each in bins] == [100] * BINS
    assert [each.mean_confidence for each in bins] == sorted(each.mean_confidence for each in bins)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.7, 0.71, 0.9, 1.0]), st.booleans()), min_size=1, max_size=80),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_shows_nowhere(rows: list[tuple[float, bool]], random: object) -> None:
    mixed = [*rows]
    random.shuffle(mixed)  # type: ignore[attr-defined]

    def of(pairs: list[tuple[float, bool]]) -> list[tuple[int, float, float]]:
        found = reliability(
            np.array([each[0] for each in pairs]), np.array([float(each[1]) for each in pairs])
        )
        assert 0.0 <= found.expected_calibration_error <= 1.0
        return [(each.rows, round(each.mean_confidence, 9), round(each.accuracy, 9)) for each in found.bins]

    assert of(rows) == of(mixed)
    assert sum(each[0] for each in of(rows)) == len(rows)


def test_labels_drawn_by_their_probabilities_are_calibrated_and_overconfidence_is_seen() -> None:
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet([1.0, 1.0, 1.0], size=20_000)
    truth = (probabilities.cumsum(1) > generator.uniform(size=(20_000, 1))).argmax(1)
    assert expected_calibration_error(np.log(probabilities), truth) < 0.02
    sharp = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    assert expected_calibration_error(np.log(sharp), truth) > 0.1


def test_the_picture_is_the_same_for_the_same_bins() -> None:
    found = reliability(np.array([0.6, 0.9]), np.array([0.0, 1.0]))
    first, again = (draw_reliability(found, title="pilot on tune") for _ in range(2))
    assert first == again and b"<svg" in first
    assert f"{found.expected_calibration_error:.3f}".encode() in first
    assert math.isclose(found.expected_calibration_error, (0.6 + 0.1) / 2)
