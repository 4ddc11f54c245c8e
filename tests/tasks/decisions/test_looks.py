"""Looks are counted by the rows that were asked, not by names."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records.looks import Look
from data_contracts.records.snapshot import Split
from tasks.decisions.looks import looks_are_left, looks_of_others, overlap, sketch_rows
from tests.tasks.decisions.conftest import ACCURACY, DIGEST


def ids(first: int, last: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(first, last)]


def look(rows: list[str], inputs: int, *, hypothesis: str = "quality", split: Split = Split.GATE) -> Look:
    return Look(
        run_id=f"run-{inputs}",
        hypothesis=hypothesis,
        split=split,
        sketch=sketch_rows(rows),
        inputs=f"sha256:{inputs:064x}",
        alpha_of_run=0.01,
        registration=DIGEST,
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_row_appended_is_the_same_set_and_other_rows_are_another() -> None:
    rows = sketch_rows(ids(0, 2000))
    assert overlap(rows, sketch_rows(ids(0, 2001))) > 0.95
    assert overlap(rows, sketch_rows(ids(2000, 4000))) == 0.0


@given(st.integers(0, 1500), st.integers(200, 3000))
def test_the_estimate_is_near_the_truth(shift: int, size: int) -> None:
    truth = max(0, size - shift) / size
    estimate = overlap(sketch_rows(ids(0, size)), sketch_rows(ids(shift, shift + size)))
    # Five standard deviations of a share of 256 draws.
    assert estimate == pytest.approx(truth, abs=0.16)


def test_small_sets_are_compared_exactly() -> None:
    assert overlap(sketch_rows(ids(0, 100)), sketch_rows(ids(50, 150))) == pytest.approx(0.5)
    assert overlap(sketch_rows([]), sketch_rows(ids(0, 5))) == 0.0


def test_what_counts_as_an_earlier_look() -> None:
    rows = ids(0, 500)
    mine = look(rows, 9).inputs
    looks = [
        look(rows, 1),
        look(rows, 1),  # the same work again
        look(rows, 9),  # mine, in an earlier run
        look(rows, 2, split=Split.RESERVE),  # these rows, under another name
        look(rows, 3, hypothesis="something else"),
        look(ids(5000, 5500), 4),
        look(ids(20, 520), 5),
    ]
    taken = looks_of_others(looks, sketch_rows(rows), hypothesis="quality", inputs=mine)
    assert (taken.count, taken.alpha) == (3, pytest.approx(0.03))


def test_what_counts_is_the_alpha_that_was_given_away() -> None:
    assert looks_are_left(0.0475, 0.0025, ACCURACY)
    assert not looks_are_left(0.05, 0.0025, ACCURACY)
    # Twenty runs of a twentieth each fit, however the sum rounds.
    assert looks_are_left(sum([0.05 / 20] * 19), 0.05 / 20, ACCURACY)
