"""Intervals of one seed agree with published figures, and behave as means do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tasks.decisions.statistics import difference_interval, mean_interval
from tasks.decisions.statistics.proportions import PairedCounts, newcombe_bounds

SCORES = st.lists(st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3)), min_size=2, max_size=40)
HITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)
PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60)


def hits(right: int, rows: int) -> np.ndarray:
    return np.repeat([1.0, 0.0], [right, rows - right])


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_gives_the_figures_of_newcombe(
    right: int, rows: int, low: float, high: float
) -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), table I, method 5: 95 %, two-sided."""
    interval = mean_interval(hits(right, rows), binary=True, alpha=0.025)
    assert (interval.lower, interval.upper) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (1, 30), (93, 100), (1470, 1566)])
def test_a_proportion_has_clopper_pearson_bounds(right: int, rows: int) -> None:
    interval = mean_interval(hits(right, rows), binary=True, alpha=0.05)
    expected = stats.binomtest(right, rows).proportion_ci(confidence_level=0.90, method="exact")
    assert interval.lower == pytest.approx(expected.low, abs=1e-12)
    assert interval.upper == pytest.approx(expected.high, abs=1e-12)
    assert (interval.method, interval.seeds) == ("clopper-pearson", 1)


@given(HITS)
def test_bounds_of_right_rows_are_those_of_wrong_rows_turned_around(scores: list[float]) -> None:
    right = mean_interval(np.asarray(scores), binary=True, alpha=0.05)
    wrong = mean_interval(1.0 - np.asarray(scores), binary=True, alpha=0.05)
    assert (right.lower, right.upper) == (
        pytest.approx(1 - wrong.upper, abs=1e-9),
        pytest.approx(1 - wrong.lower, abs=1e-9),
    )
    assert 0.0 <= right.lower <= right.mean <= right.upper <= 1.0


def test_newcombe_gives_the_figures_of_its_paper() -> None:
    """Newcombe 1998 (17:2635), table III, method 10: 36 + 12 + 2 + 0 of 50 pairs, 95 % two-sided."""
    first = np.repeat([1.0, 1.0, 0.0], [36, 12, 2])
    second = np.repeat([1.0, 0.0, 1.0], [36, 12, 2])
    interval = difference_interval(first, second, binary=True, alpha=0.025)
    assert (interval.lower, interval.upper) == (
        pytest.approx(0.0569, abs=5e-5),
        pytest.approx(0.3404, abs=5e-5),
    )


@pytest.mark.parametrize("gained", [0, 3, 17, 40])
def test_without_a_second_side_newcombe_is_wilson(gained: int) -> None:
    """Where the second side is always wrong, what is left of the first side's part is Wilson's interval."""
    zero = np.array(0.0)
    counts = PairedCounts(zero, np.array(float(gained)), zero, np.array(40.0 - gained))
    bounds = newcombe_bounds(counts, 0.05)
    low, high = proportion_confint(gained, 40, alpha=0.1, method="wilson")
    other = proportion_confint(0, 40, alpha=0.1, method="wilson")[1]
    share = gained / 40
    assert float(bounds.upper) == pytest.approx(high)
    assert float(bounds.lower) == pytest.approx(share - np.hypot(share - low, other))


@given(PAIRS)
def test_swapping_the_sides_turns_the_difference_around(pairs: list[tuple[float, float]]) -> None:
    first, second = np.asarray(pairs).T
    for binary in (True, False):
        one = difference_interval(first, second, binary=binary, alpha=0.05)
        other = difference_interval(second, first, binary=binary, alpha=0.05)
        assert (one.mean, one.lower, one.upper) == (
            pytest.approx(-other.mean),
            pytest.approx(-other.upper, abs=1e-6),
            pytest.approx(-other.lower, abs=1e-6),
        )


@settings(deadline=None)
@given(SCORES, st.floats(-10, 10).map(lambda x: round(x, 2)))
def test_a_shift_of_all_scores_shifts_the_interval(scores: list[float], shift: float) -> None:
    values = np.asarray(scores)
    plain = mean_interval(values, binary=False, alpha=0.05)
    moved = mean_interval(values + shift, binary=False, alpha=0.05)
    near = 1e-6 * max(1.0, float(np.ptp(values)))
    assert (moved.mean, moved.lower, moved.upper) == (
        pytest.approx(plain.mean + shift, abs=near),
        pytest.approx(plain.lower + shift, abs=near),
        pytest.approx(plain.upper + shift, abs=near),
    )


@settings(deadline=None)
@given(SCORES)
def test_the_order_of_rows_does_not_matter(scores: list[float]) -> None:
    forward = mean_interval(np.asarray(scores), binary=False, alpha=0.05)
    backward = mean_interval(np.asarray(scores[::-1]), binary=False, alpha=0.05)
    assert (forward.lower, forward.upper) == (
        pytest.approx(backward.lower, abs=1e-6),
        pytest.approx(backward.upper, abs=1e-6),
    )


@settings(deadline=None)
@given(SCORES)
def test_bounds_stand_around_the_mean(scores: list[float]) -> None:
    interval = mean_interval(np.asarray(scores), binary=False, alpha=0.05)
    assert interval.lower <= interval.mean <= interval.upper


@pytest.mark.parametrize("binary", [True, False])
def test_equal_artifacts_differ_by_nothing_and_not_with_certainty(binary: bool) -> None:
    scores = np.array([0.0, 1.0, 1.0, 0.0] * 25)
    interval = difference_interval(scores, scores, binary=binary, alpha=0.05, span=2.0)
    assert interval.mean == 0.0
    assert interval.lower < 0.0 < interval.upper
    if not binary:
        # The rule of three's exact form, for changes as large as the span.
        assert (interval.method, interval.upper) == ("few-changes", pytest.approx(2 * (1 - 0.05**0.01)))


@pytest.mark.parametrize("scores", [np.full(1, 0.3), np.full(200, 0.3), np.zeros(50), np.ones(50)])
def test_rows_that_are_all_equal_show_no_certainty(scores: np.ndarray) -> None:
    """A constant gain of 0.3 on one row, or on 200, leaves the rows that were not drawn unknown."""
    level = mean_interval(scores, binary=False, alpha=0.05)
    gain = difference_interval(scores, np.zeros(scores.size), binary=False, alpha=0.05)
    unseen = 1 - 0.05 ** (1 / scores.size)
    for interval in (level, gain):
        assert interval.method == "few-changes"
        assert interval.mean - interval.lower == pytest.approx(unseen)
        assert interval.upper - interval.mean == pytest.approx(unseen)


@pytest.mark.parametrize(("binary", "changed"), [(True, 1), (True, 3), (False, 1), (False, 2)])
def test_a_few_better_rows_are_no_gain_shown(binary: bool, changed: int) -> None:
    worse = np.repeat([1.0, 0.0], [250, 50])
    better = worse.copy()
    better[250 : 250 + changed] = 1.0
    interval = difference_interval(better, worse, binary=binary, alpha=0.05)
    assert interval.mean == pytest.approx(changed / 300)
    assert interval.lower < 0.0


@pytest.mark.parametrize(("up", "down"), [(0.01, 0.01), (0.02, 0.02), (0.1, 0.1), (0.005, 0.005)])
def test_paired_gains_pass_on_noise_no_more_often_than_alpha(up: float, down: float) -> None:
    """With no true gain, ``lower >= 0`` is an error; few discordant rows are where a bootstrap commits it."""
    random, runs, passed = np.random.default_rng(4), 600, 0
    for _ in range(runs):
        changes = random.choice([1, -1, 0], p=[up, down, 1 - up - down], size=300)
        second = random.choice([0.0, 1.0], size=300)
        second = np.where(changes == 1, 0.0, np.where(changes == -1, 1.0, second))
        interval = difference_interval(second + changes, second, binary=True, alpha=0.05)
        passed += interval.lower >= 0.0
    assert passed / runs < 0.05 + 4 * (0.05 * 0.95 / runs) ** 0.5
