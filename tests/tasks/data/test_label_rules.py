import numpy as np

from tasks.data.checking.label_rules import enough_rows, label_share, rows_per_label

NAMES = ("a", "b")
LABELS = np.array([0] * 30 + [1] * 10)
SPLITS = np.array([0] * 24 + [2] * 6 + [0] * 9 + [2] * 1)


def test_rows_to_train_on_and_rows_of_a_label_are_counted_apart() -> None:
    assert enough_rows(LABELS, SPLITS, NAMES, rows=33, rows_per_label=9).holds
    few = enough_rows(LABELS, SPLITS, NAMES, rows=34, rows_per_label=9)
    assert (few.holds, few.words) == (False, "33 rows in train")
    rare = enough_rows(LABELS, SPLITS, NAMES, rows=33, rows_per_label=10)
    assert (rare.holds, rare.words) == (False, "9 of b")


def test_a_split_with_too_few_rows_of_a_label_is_named() -> None:
    assert rows_per_label(LABELS, SPLITS, NAMES, train=9, gate=1).holds
    few = rows_per_label(LABELS, SPLITS, NAMES, train=9, gate=2)
    assert (few.holds, few.words) == (False, "b 1 in gate")


def test_both_ends_of_a_share_count() -> None:
    assert label_share(LABELS, NAMES, minimum_percent=25.0, maximum_percent=75.0).holds
    assert label_share(LABELS, NAMES, minimum_percent=26.0, maximum_percent=75.0).words == "b 25 %"
    assert label_share(LABELS, NAMES, minimum_percent=25.0, maximum_percent=74.0).words == "a 75 %"
