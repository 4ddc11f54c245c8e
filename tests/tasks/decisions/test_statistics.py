"""Intervals cover what they promise, and behave as means do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from data_contracts.errors import PairingError
from tasks.decisions.statistics import difference_interval, mean_interval, pair

SCORES = st.lists(st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3)), min_size=2, max_size=40)


@pytest.mark.parametrize(("hits", "rows"), [(0, 5), (5, 5), (1, 30), (93, 100), (1470, 1566)])
def test_a_proportion_has_clopper_pearson_bounds(hits: int, rows: int) -> None:
    interval = mean_interval(np.repeat([1.0, 0.0], [hits, rows - hits]), binary=True, alpha=0.05)
    expected = stats.binomtest(hits, rows).proportion_ci(confidence_level=0.90, method="exact")
    assert interval.lower == pytest.approx(expected.low, abs=1e-12)
    assert interval.upper == pytest.approx(expected.high, abs=1e-12)
    assert interval.method == "clopper-pearson"


def test_bca_agrees_with_scipy() -> None:
    scores = np.random.default_rng(3).gamma(1.0, 2.0, size=200)
    ours = mean_interval(scores, binary=False, alpha=0.05)
    theirs = stats.bootstrap(
        (scores,), np.mean, confidence_level=0.90, n_resamples=9_999, method="BCa", rng=5
    ).confidence_interval
    assert ours.method == "bootstrap-bca"
    assert ours.lower == pytest.approx(theirs.low, abs=0.03)
    assert ours.upper == pytest.approx(theirs.high, abs=0.03)


@pytest.mark.slow
def test_one_sided_bounds_err_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    runs, alpha = 1_000, 0.05
    too_high = too_low = 0
    for _ in range(runs):
        interval = mean_interval(random.gamma(2.0, 1.0, size=150), binary=False, alpha=alpha)
        too_high += interval.lower > 2.0
        too_low += interval.upper < 2.0
    # Four standard errors of a proportion of alpha in so many runs.
    allowed = 4 * (alpha * (1 - alpha) / runs) ** 0.5
    assert abs(too_high / runs - alpha) < allowed
    assert abs(too_low / runs - alpha) < allowed


@settings(max_examples=25, deadline=None)
@given(SCORES, st.floats(-10, 10).map(lambda x: round(x, 2)))
def test_a_shift_of_all_scores_shifts_the_interval(scores: list[float], shift: float) -> None:
    values = np.asarray(scores)
    plain = mean_interval(values, binary=False, alpha=0.05)
    moved = mean_interval(values + shift, binary=False, alpha=0.05)
    assert moved.mean == pytest.approx(plain.mean + shift, abs=1e-6)
    if len(np.unique(values)) == len(np.unique(values + shift)):
        spread = max(1.0, float(np.ptp(values)))
        assert moved.lower == pytest.approx(plain.lower + shift, abs=0.02 * spread)
        assert moved.upper == pytest.approx(plain.upper + shift, abs=0.02 * spread)


@settings(max_examples=25, deadline=None)
@given(SCORES)
def test_bounds_stand_around_the_mean(scores: list[float]) -> None:
    interval = mean_interval(np.asarray(scores), binary=False, alpha=0.05)
    assert interval.lower <= interval.mean <= interval.upper


@settings(max_examples=25, deadline=None)
@given(SCORES)
def test_the_order_of_rows_does_not_matter(scores: list[float]) -> None:
    forward = mean_interval(np.asarray(scores), binary=False, alpha=0.05)
    backward = mean_interval(np.asarray(scores[::-1]), binary=False, alpha=0.05)
    spread = max(1.0, float(np.ptp(scores)))
    assert forward.lower == pytest.approx(backward.lower, abs=0.02 * spread)


@pytest.mark.parametrize("binary", [True, False])
def test_equal_artifacts_differ_by_nothing_and_not_with_certainty(binary: bool) -> None:
    scores = np.array([0.0, 1.0, 1.0, 0.0] * 25)
    interval = difference_interval(scores, scores, binary=binary, alpha=0.05, span=2.0)
    assert interval.mean == 0.0
    assert interval.lower < 0.0 < interval.upper
    if not binary:
        # The rule of three's exact form, for changes as large as the span.
        assert (interval.method, interval.upper) == ("few-changes", pytest.approx(2 * (1 - 0.05**0.01)))


@pytest.mark.parametrize(("binary", "changed"), [(True, 1), (True, 3), (False, 1), (False, 2)])
def test_a_few_better_rows_are_no_gain_shown(binary: bool, changed: int) -> None:
    worse = np.repeat([1.0, 0.0], [250, 50])
    better = worse.copy()
    better[250 : 250 + changed] = 1.0
    interval = difference_interval(better, worse, binary=binary, alpha=0.05)
    assert interval.mean == pytest.approx(changed / 300)
    assert interval.lower < 0.0


def test_newcombe_gives_the_figures_of_its_paper() -> None:
    """Newcombe 1998, table III, method 10: 36 + 12 + 2 + 0 of 50 pairs, 95 % two-sided: 0.0569 to 0.3404."""
    first = np.repeat([1.0, 1.0, 0.0], [36, 12, 2])
    second = np.repeat([1.0, 0.0, 1.0], [36, 12, 2])
    interval = difference_interval(first, second, binary=True, alpha=0.025)
    assert (interval.lower, interval.upper) == (
        pytest.approx(0.0569, abs=5e-5),
        pytest.approx(0.3404, abs=5e-5),
    )


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


def test_the_same_scores_give_the_same_interval_again() -> None:
    scores = np.random.default_rng(1).normal(size=500)
    again = scores.copy()
    assert mean_interval(scores, binary=False, alpha=0.01) == mean_interval(again, binary=False, alpha=0.01)


@pytest.mark.parametrize("scores", [[], [0.5, float("nan")], [float("inf")]])
def test_scores_that_say_nothing_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no rows|is nan|is inf"):
        mean_interval(np.asarray(scores), binary=False, alpha=0.05)


def test_pairing_is_by_row_not_by_place() -> None:
    first, second = pair(["a", "b"], np.array([1.0, 2.0]), ["b", "a"], np.array([20.0, 10.0]))
    assert (second - first).tolist() == [9.0, 18.0]


@pytest.mark.parametrize(
    ("ids", "told"), [(["a", "c"], "one side only"), (["a", "a"], "twice"), (["a"], "one side only")]
)
def test_scores_of_different_rows_are_never_paired(ids: list[str], told: str) -> None:
    with pytest.raises(PairingError, match=told):
        pair(["a", "b"], np.zeros(2), ids, np.zeros(len(ids)))


def test_memory_stays_bounded_on_many_distinct_scores() -> None:
    import tracemalloc

    scores = np.random.default_rng(2).normal(size=50_000)
    tracemalloc.start()
    mean_interval(scores[:20_000], binary=False, alpha=0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**28
