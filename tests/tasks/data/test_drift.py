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
    for aspect, largest in ((DriftAspect.VOCABULARY, 0.05), (DriftAspect.ROWS, 0.55)):
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


@pytest.mark.parametrize("sizes", [(1, 1), (3, 40), (40, 3)])
def test_too_few_rows_are_told_apart_by_no_classifier(sizes: tuple[int, int]) -> None:
    figure = two_sample_drift(["only old words here"] * sizes[0], ["new ones there"] * sizes[1])
    assert 0 <= figure.value <= 1
    assert figure.p_value > 0 if min(sizes) > 1 else figure.p_value == 1


def test_texts_without_a_word_are_no_drift() -> None:
    figure = two_sample_drift(["", " "] * 20, ["  "] * 20)
    assert (figure.value, figure.p_value) == (0.5, 1.0)


def test_the_area_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score
    from sklearn.naive_bayes import MultinomialNB

    from tasks.data.rules.drift import _FOLDS, _held_out_areas, word_pairs

    before, now = texts(1, 60), texts(2, 40, vocabulary=200)
    presence = word_pairs([*before, *now])
    side = np.arange(100) >= 60
    folds = np.arange(100) % _FOLDS
    expected = []
    for fold in range(_FOLDS):
        model = MultinomialNB(fit_prior=False).fit(presence[folds != fold], side[folds != fold])
        scores = model.predict_log_proba(presence[folds == fold])
        expected.append(roc_auc_score(side[folds == fold], scores[:, 1] - scores[:, 0]))
    assert _held_out_areas(presence, side[:, None], folds)[0] == pytest.approx(np.mean(expected))


def test_a_fifth_from_another_source_is_found(questions: list[tuple[str, str]]) -> None:
    generator = np.random.default_rng(7)
    order = generator.permutation([text for text, _ in questions])[:2400]
    before, now = list(order[:1200]), list(order[1200:])
    assert not two_sample_drift(before, now).drifted(largest_value=0.55, alpha=0.01)
    mixed = [
        text.replace("?", ".").replace("What", "That") if n % 5 == 0 else text for n, text in enumerate(now)
    ]
    assert two_sample_drift(before, mixed).drifted(largest_value=0.55, alpha=0.01)
