"""McNemar, Holm and inverted bounds agree with statsmodels, with scipy and with worked examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from data_contracts.errors import PairingError
from data_contracts.records.decision import Interval
from tasks.decisions.statistics import mean_interval
from tasks.decisions.statistics.comparisons import holm, mcnemar_p_value, p_value_above, p_value_below

CELLS = st.tuples(*[st.integers(0, 30)] * 4).filter(any)
P_VALUES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.0, 1.0), max_size=8)


def columns(cells: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Both right, only the first, only the second, neither."""
    return np.repeat([1.0, 1.0, 0.0, 0.0], cells), np.repeat([1.0, 0.0, 1.0, 0.0], cells)


@given(CELLS)
def test_mcnemar_is_that_of_statsmodels(cells: tuple[int, int, int, int]) -> None:
    first, second = columns(cells)
    both, gained, lost, neither = cells
    expected = mcnemar([[both, gained], [lost, neither]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar_p_value(first, second) == pytest.approx(expected)
    assert mcnemar_p_value(second, first) == pytest.approx(mcnemar_p_value(first, second))


def test_mcnemar_by_hand() -> None:
    """One of ten discordant rows the other way: 2 * (1 + 10) / 2**10."""
    assert mcnemar_p_value(*columns((50, 9, 1, 40))) == pytest.approx(22 / 1024)


def test_mcnemar_refuses_what_is_no_pair() -> None:
    with pytest.raises(PairingError):
        mcnemar_p_value(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="is nan"):
        mcnemar_p_value(np.array([np.nan]), np.zeros(1))


def test_holm_steps_down() -> None:
    """0.005 < 0.05 / 4 and 0.01 < 0.05 / 3, but 0.03 > 0.05 / 2, which also stops 0.04 < 0.05."""
    result = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05)
    assert result.rejected == {"a", "d"}
    assert result.adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


@given(P_VALUES.filter(bool), st.floats(0.001, 0.5))
def test_holm_is_that_of_statsmodels_to_the_last_digit(p_values: dict[str, float], alpha: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gc.collect", lambda: 0)  # it does at each call
        rejected, adjusted, _, _ = multipletests(list(p_values.values()), alpha=alpha, method="holm")
    result = holm(p_values, alpha)
    assert [name in result.rejected for name in p_values] == list(rejected)
    assert list(result.adjusted.items()) == list(zip(p_values, adjusted, strict=True))


@given(P_VALUES)
def test_holm_rejects_at_least_what_bonferroni_does_and_no_more_than_each_alone(
    p_values: dict[str, float],
) -> None:
    result = holm(p_values, 0.05)
    assert {name for name, value in p_values.items() if value < 0.05 / len(p_values)} <= result.rejected
    assert result.rejected <= {name for name, value in p_values.items() if value <= 0.05}


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_p_value(value: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1.*quality"):
        holm({"quality": value, "harm": 0.5}, 0.05)


@given(st.integers(0, 60), st.floats(0.05, 0.95))
def test_an_inverted_clopper_pearson_bound_is_the_binomial_tail(right: int, threshold: float) -> None:
    scores = np.repeat([1.0, 0.0], [right, 60 - right])

    def interval(alpha: float) -> Interval:
        return mean_interval(scores, binary=True, alpha=alpha)

    above, below = stats.binom.sf(right - 1, 60, threshold), stats.binom.cdf(right, 60, threshold)
    for found, expected in (
        (p_value_above(threshold, interval), above),
        (p_value_below(threshold, interval), below),
    ):
        assert found == (pytest.approx(max(expected, 1e-9), rel=1e-4) if expected <= 0.5 else 1.0)
