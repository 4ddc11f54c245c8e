import math

import numpy as np
import pytest

from data_contracts.records.drift import DriftAspect
from tasks.data.rules.drift import (
    drift_between,
    label_drift,
    length_drift,
    two_sample_drift,
    vocabulary_drift,
)


def texts(seed: int, count: int, words: int = 12, vocabulary: int = 500) -> list[str]:
    generator = np.random.default_rng(seed)
    drawn = generator.zipf(1.3, size=(count, words)) % vocabulary
    return [" ".join(f"w{number}" for number in row) for row in drawn]


def test_index_of_labels_is_the_formula_worked_by_hand() -> None:
    figure = label_drift({"a": 50, "b": 50}, {"a": 80, "b": 20})
    p, q = (50.5 / 101, 50.5 / 101), (80.5 / 101, 20.5 / 101)
    expected = sum((x - y) * math.log(x / y) for x, y in zip(p, q, strict=True))
    assert figure.value == pytest.approx(expected)
    assert figure.p_value == pytest.approx(9.3e-6, rel=0.1)


def test_a_new_label_is_finite_and_counts() -> None:
    figure = label_drift({"a": 500}, {"a": 400, "b": 100})
    assert math.isfinite(figure.value)
    assert figure.drifted(largest_value=0.2, alpha=0.01)


def test_lengths_that_double_drift_and_equal_ones_do_not() -> None:
    lengths = list(range(100, 200))
    assert length_drift(lengths, [2 * n for n in lengths]).value > 0.9
    assert length_drift(lengths, lengths).value == 0.0


@pytest.mark.parametrize("measure", [vocabulary_drift, two_sample_drift])
def test_samples_of_one_source_are_told_apart_no_more_often_than_alpha(measure) -> None:  # type: ignore[no-untyped-def]
    p_values = [measure(texts(2 * n, 150), texts(2 * n + 1, 150)).p_value for n in range(40)]
    assert sum(p <= 0.05 for p in p_values) <= 6, "binomial: more than 6 of 40 at 0.05 in 1.4 % of the cases"


def test_other_words_are_told_apart_by_both() -> None:
    before, now = texts(1, 200), [text.replace("w1", "v1") for text in texts(2, 200)]
    report = drift_between(before, now)
    for aspect, largest in ((DriftAspect.VOCABULARY, 0.05), (DriftAspect.ROWS, 0.6)):
        figure = report.figure(aspect)
        assert figure is not None
        assert figure.drifted(largest_value=largest, alpha=0.01)


def test_a_large_difference_among_few_rows_is_no_drift() -> None:
    figure = label_drift({"a": 2, "b": 1}, {"a": 1, "b": 2})
    assert figure.value > 0.2
    assert not figure.drifted(largest_value=0.2, alpha=0.01)


def test_the_same_samples_give_the_same_figures() -> None:
    before, now = texts(1, 100), texts(2, 100)
    assert drift_between(before, now) == drift_between(before, now)


def test_rows_without_labels_have_no_figure_for_them() -> None:
    assert drift_between(["a b"], ["a b"]).figure(DriftAspect.LABELS) is None
