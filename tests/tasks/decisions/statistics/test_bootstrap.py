"""The computed bootstrap is the drawn one in the limit, covers what it promises, and is quick and small."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.decisions.statistics import difference_interval, mean_interval
from tasks.decisions.statistics.resampling import Units


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=5), st.data())
def test_it_is_the_distribution_of_all_resamples(values: list[int], data: st.DataObject) -> None:
    """Up to 5**5 resamples, one by one; sizes other than 1 make the mean a ratio of sums."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=len(values), max_size=len(values)))
    units = Units(np.array(values, dtype=float), np.array(sizes, dtype=float), clustered=True)
    drawn = np.array(list(itertools.product(range(len(values)), repeat=len(values))))
    means = units.sums[drawn].sum(axis=1) / units.sizes[drawn].sum(axis=1)
    for value in np.arange(-4.53, 5.0, 0.871):  # never near a mean of few whole numbers, which are ties
        if np.abs(means - value).min() > 0.02:
            assert units.share_below(value) == pytest.approx((means < value).mean(), abs=2e-3)


@pytest.mark.parametrize("clustered", [False, True])
def test_quantiles_are_those_of_many_resamples(clustered: bool) -> None:
    random = np.random.default_rng(0)
    sizes = random.integers(1, 30, size=60).astype(float) if clustered else np.ones(60)
    units = Units(sizes * random.gamma(1.0, 2.0, size=60), sizes, clustered=clustered)
    drawn = random.integers(0, 60, size=(200_000, 60))
    means = units.sums[drawn].sum(axis=1) / units.sizes[drawn].sum(axis=1)
    for level in (0.01, 0.05, 0.5, 0.95, 0.99):
        error = 4 * (level * (1 - level) / 200_000) ** 0.5
        low, high = np.quantile(means, [level - error, level + error])
        assert low <= units.quantile(level) <= high


def test_bca_agrees_with_scipy() -> None:
    scores = np.random.default_rng(3).gamma(1.0, 2.0, size=200)
    ours = mean_interval(scores, binary=False, alpha=0.05)
    theirs = stats.bootstrap(
        (scores,), np.mean, confidence_level=0.90, n_resamples=9_999, method="BCa", rng=5
    ).confidence_interval
    assert ours.method == "bootstrap-bca"
    assert ours.lower == pytest.approx(theirs.low, abs=0.03)
    assert ours.upper == pytest.approx(theirs.high, abs=0.03)


def test_one_sided_bounds_err_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    runs, alpha = 1_000, 0.05
    intervals = [
        mean_interval(random.gamma(2.0, 1.0, size=150), binary=False, alpha=alpha) for _ in range(runs)
    ]
    # Four standard errors of a proportion of alpha in so many runs.
    allowed = 4 * (alpha * (1 - alpha) / runs) ** 0.5
    assert abs(np.mean([each.lower > 2.0 for each in intervals]) - alpha) < allowed
    assert abs(np.mean([each.upper < 2.0 for each in intervals]) - alpha) < allowed


def test_rows_that_share_a_source_count_as_one_witness() -> None:
    """40 sources of 25 rows that agree: taken row by row the bounds are five times too narrow."""
    random = np.random.default_rng(2)
    of_source = random.normal(size=40)
    scores = np.repeat(of_source, 25)
    sources = np.repeat([f"source-{number}" for number in range(40)], 25)
    clustered = mean_interval(scores, binary=False, alpha=0.05, clusters=list(sources))
    alone = mean_interval(of_source, binary=False, alpha=0.05)
    assert clustered.method == "clustered-bootstrap-bca"
    assert (clustered.lower, clustered.upper) == (pytest.approx(alone.lower), pytest.approx(alone.upper))
    assert clustered.rows == 1_000
    by_row = mean_interval(scores, binary=False, alpha=0.05)
    assert (by_row.mean - by_row.lower) * 4.5 < clustered.mean - clustered.lower


def test_clusters_of_one_row_are_rows() -> None:
    scores = np.random.default_rng(8).normal(size=50)
    rows = mean_interval(scores, binary=False, alpha=0.05)
    clusters = mean_interval(scores, binary=False, alpha=0.05, clusters=[str(each) for each in range(50)])
    assert (clusters.lower, clusters.upper) == (pytest.approx(rows.lower), pytest.approx(rows.upper))


def test_clusters_are_resampled_for_shares_and_differences_too() -> None:
    random = np.random.default_rng(6)
    sources = [f"source-{number % 30}" for number in range(300)]
    first, second = (random.random((2, 300)) < 0.7).astype(float)
    assert "clustered" in mean_interval(first, binary=True, alpha=0.05, clusters=sources).method
    assert "clustered" in difference_interval(first, second, binary=True, alpha=0.05, clusters=sources).method
    few = ["one" if number % 2 else "other" for number in range(300)]
    assert mean_interval(first, binary=True, alpha=0.05, clusters=few).method == "few-changes"


def test_clustered_bounds_err_as_often_as_they_say() -> None:
    """Sources of 1 to 20 rows whose own means differ, so that the mean is a ratio."""
    random, runs, errors = np.random.default_rng(9), 300, 0
    for _ in range(runs):
        sizes = random.integers(1, 21, size=60)
        names = np.repeat(np.arange(60), sizes).astype(str)
        scores = np.repeat(random.normal(size=60), sizes) + random.normal(size=sizes.sum())
        errors += mean_interval(scores, binary=False, alpha=0.05, clusters=list(names)).lower > 0.0
    assert abs(errors / runs - 0.05) < 4 * (0.05 * 0.95 / runs) ** 0.5


def test_the_same_scores_give_the_same_interval_again() -> None:
    scores = np.random.default_rng(1).normal(size=500)
    again = scores.copy()
    assert mean_interval(scores, binary=False, alpha=0.01) == mean_interval(again, binary=False, alpha=0.01)


def test_a_hundred_thousand_pairs_take_seconds_and_little_memory() -> None:
    first, second = np.random.default_rng(2).normal(size=(2, 100_000))
    began = time.process_time()
    difference_interval(first, second, binary=False, alpha=0.05)
    assert time.process_time() - began < 10.0
    tracemalloc.start()
    difference_interval(first, second, binary=False, alpha=0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**28
