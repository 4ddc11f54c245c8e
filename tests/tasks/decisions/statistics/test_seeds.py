"""Bounds over seeds: those of one seed where there is one, wider with their spread, and honest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tasks.decisions.statistics import (
    difference_interval,
    mean_interval,
    seeded_difference_interval,
    seeded_mean_interval,
)

HITS = arrays(float, st.tuples(st.integers(2, 4), st.integers(2, 40)), elements=st.sampled_from([0.0, 1.0]))
OTHERS = arrays(
    float,
    st.tuples(st.integers(2, 4), st.integers(2, 40)),
    elements=st.floats(-10, 10).map(lambda each: round(each, 3)),
)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("clusters", [None, [f"source-{number % 25}" for number in range(200)]])
def test_one_seed_gives_the_interval_of_one_seed(binary: bool, clusters: list[str] | None) -> None:
    random = np.random.default_rng(0)
    first, second = (random.random((2, 200)) < 0.8).astype(float) if binary else random.normal(size=(2, 200))
    assert seeded_mean_interval(
        first[None], binary=binary, alpha=0.05, span=2.0, clusters=clusters
    ) == mean_interval(first, binary=binary, alpha=0.05, span=2.0, clusters=clusters)
    assert seeded_difference_interval(
        first[None], second[None], binary=binary, alpha=0.05, span=2.0, clusters=clusters
    ) == difference_interval(first, second, binary=binary, alpha=0.05, span=2.0, clusters=clusters)


def test_the_parts_are_students_t_and_the_rows_own_bounds() -> None:
    """Three seeds with 88, 93 and 98 of 100 rows: 93 +- 5, and Clopper and Pearson's bounds of 93 of 100."""
    scores = np.stack([np.repeat([1.0, 0.0], [right, 100 - right]) for right in (88, 93, 98)])
    interval = seeded_mean_interval(scores, binary=True, alpha=0.05)
    rows = mean_interval(scores[1], binary=True, alpha=0.05)
    spread = 2.919986 * 0.05 / 3**0.5  # t with 2 degrees of freedom, 95 %
    assert (interval.method, interval.seeds, interval.rows) == ("t-seeds+clopper-pearson", 3, 100)
    assert interval.mean == pytest.approx(0.93)
    assert interval.lower == pytest.approx(0.93 - np.hypot(spread, 0.93 - rows.lower), abs=1e-6)
    assert interval.upper == 1.0
    assert 0.93 + np.hypot(spread, rows.upper - 0.93) > 1.0


def test_equal_seeds_leave_the_rows_own_bounds() -> None:
    scores = np.random.default_rng(1).normal(size=300)
    seeded = seeded_mean_interval(np.stack([scores] * 3), binary=False, alpha=0.05)
    alone = mean_interval(scores, binary=False, alpha=0.05)
    assert (seeded.lower, seeded.upper) == (pytest.approx(alone.lower), pytest.approx(alone.upper))
    assert seeded.method == "t-seeds+bootstrap-bca"


@settings(deadline=None)
@given(st.one_of(HITS, OTHERS))
def test_the_order_of_seeds_and_rows_does_not_matter(scores: np.ndarray) -> None:
    binary = bool(np.isin(scores, (0.0, 1.0)).all())
    shuffled = np.random.default_rng(0).permutation(scores, axis=0)[:, ::-1]
    one = seeded_mean_interval(scores, binary=binary, alpha=0.05)
    other = seeded_mean_interval(shuffled, binary=binary, alpha=0.05)
    assert (one.mean, one.lower, one.upper) == (
        pytest.approx(other.mean, abs=1e-6),
        pytest.approx(other.lower, abs=1e-6),
        pytest.approx(other.upper, abs=1e-6),
    )
    assert one.lower <= one.mean <= one.upper


@settings(deadline=None)
@given(st.one_of(HITS, OTHERS))
def test_swapping_the_sides_turns_the_difference_around(scores: np.ndarray) -> None:
    baseline = np.ones((1, scores.shape[1]))
    one = seeded_difference_interval(scores, baseline, binary=False, alpha=0.05)
    other = seeded_difference_interval(baseline, scores, binary=False, alpha=0.05)
    assert (one.lower, one.upper) == (
        pytest.approx(-other.upper, abs=1e-6),
        pytest.approx(-other.lower, abs=1e-6),
    )


def test_a_baseline_is_compared_with_each_seed() -> None:
    random = np.random.default_rng(3)
    seeds, baseline = random.normal(size=(3, 200)), random.normal(size=(1, 200))
    against_one = seeded_difference_interval(seeds, baseline, binary=False, alpha=0.05)
    against_copies = seeded_difference_interval(seeds, np.repeat(baseline, 3, 0), binary=False, alpha=0.05)
    assert against_one == against_copies
    assert against_one.seeds == 3


@pytest.mark.parametrize("scores", [np.zeros((3, 30)), np.ones((3, 30)), np.ones((3, 1))])
@pytest.mark.parametrize("binary", [True, False])
def test_all_wrong_or_all_right_is_not_certain(scores: np.ndarray, binary: bool) -> None:
    level = seeded_mean_interval(scores, binary=binary, alpha=0.05)
    gain = seeded_difference_interval(scores, np.zeros((1, scores.shape[1])), binary=binary, alpha=0.05)
    for interval in (level, gain):
        assert interval.upper - interval.lower >= 1 - 0.05 ** (1 / scores.shape[1]) - 1e-12


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.02])
def test_three_seeds_err_no_more_often_than_alpha(spread: float) -> None:
    """At a level of 90 %, with 1,000 rows and seeds that agree on most of them."""
    random, runs, errors = np.random.default_rng(7), 500, np.zeros(2)
    for _ in range(runs):
        levels = 0.9 + spread * random.standard_normal(3)
        latent = 0.9 * random.standard_normal(1_000) + 0.19**0.5 * random.standard_normal((3, 1_000))
        right = (latent < stats.norm.ppf(levels)[:, None]).astype(float)
        interval = seeded_mean_interval(right, binary=True, alpha=0.05)
        errors += (interval.lower > 0.9, interval.upper < 0.9)
    assert (errors / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5).all()
