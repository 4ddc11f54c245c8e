import numpy as np
import pytest

from tasks.data.rules.label_errors import likely_label_errors


@pytest.fixture(scope="module")
def questions_and_labels(questions: list[tuple[str, str]]) -> tuple[list[str], np.ndarray]:
    names = sorted({label for _, label in questions})
    return [text for text, _ in questions], np.array([names.index(label) for _, label in questions])


def test_most_changed_labels_are_found_and_few_others(
    questions_and_labels: tuple[list[str], np.ndarray],
) -> None:
    texts, labels = questions_and_labels
    generator = np.random.default_rng(0)
    changed = generator.random(len(labels)) < 0.05
    wrong = np.where(changed, (labels + generator.integers(1, 6, len(labels))) % 6, labels)
    found = np.zeros(len(labels), dtype=bool)
    found[likely_label_errors(texts, wrong, folds=5, largest_confidence=0.07)] = True
    assert found[changed].mean() > 0.7
    assert found[~changed].mean() < 0.02
    more = np.zeros(len(labels), dtype=bool)
    more[likely_label_errors(texts, wrong, folds=5, largest_confidence=1.0)] = True
    assert (found <= more).all()
    assert more.sum() > found.sum()


def test_one_label_or_too_few_rows_name_nothing() -> None:
    assert (
        likely_label_errors(["a b"] * 10, np.zeros(10, int), folds=5, largest_confidence=0.07).tolist() == []
    )
    assert (
        likely_label_errors(["a", "b", "c"], np.array([0, 1, 1]), folds=5, largest_confidence=0.07).tolist()
        == []
    )
