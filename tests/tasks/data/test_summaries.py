from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.rows.columns import Form
from tasks.data.snapshot.summaries import MOST_LABELS, Lengths, summarise


def labelled(*pairs: tuple[Any, Any]) -> dict[str, list[Any]]:
    return {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=300))
def test_every_row_lies_in_one_bin(lengths: list[int]) -> None:
    found = Lengths.of(np.array(lengths))
    assert found is not None
    for low, high, count in found.bins:
        assert count == sum(low <= length < high for length in lengths)
    assert sum(count for _, _, count in found.bins) == len(lengths)
    assert len(found.bins) <= 30


def test_lengths_are_those_of_stripped_texts() -> None:
    summary = summarise([labelled(("  ab ", "x"), ("abcd", "x"), (" ", "y"))], Form.CLASSIFICATION)
    lengths = summary.column("text").lengths
    assert lengths is not None
    assert (lengths.shortest, lengths.median, lengths.longest) == (0, 2, 4)
    assert summary.column("text").blanks == 1


def test_rows_are_repeats_whatever_batch_the_first_was_in() -> None:
    batches = [labelled(("a", "x"), (None, "y")), labelled(("a", "x"), (None, "y"), ("a", "y"))]
    summary = summarise(batches, Form.CLASSIFICATION)
    assert (summary.rows, summary.repeats) == (5, 2)


def test_types_nulls_and_values_are_counted() -> None:
    batch = labelled(("a", "x"), (5, "x"), (None, "y"), (float("nan"), None), ([1], True))
    summary = summarise([batch], Form.CLASSIFICATION)
    assert dict(summary.column("text").types) == {"string": 1, "integer": 1, "array": 1}
    assert summary.column("text").nulls == 2
    assert summary.column("label").values == (("x", 2), ("y", 1))


@pytest.mark.parametrize(("distinct", "kept"), [(MOST_LABELS, True), (MOST_LABELS + 1, False)])
def test_more_values_than_labels_can_be_are_not_kept(distinct: int, kept: bool) -> None:
    batch = labelled(*(("a", f"label {n}") for n in range(distinct)))
    assert (summarise([batch], Form.CLASSIFICATION).column("label").values is not None) is kept
