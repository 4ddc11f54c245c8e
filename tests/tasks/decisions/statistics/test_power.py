"""Power is what the rules reach in simulation, and rows needed are those from which on it is reached."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.decisions.statistics import difference_interval, mean_interval, seeded_mean_interval
from tasks.decisions.statistics.chances import SeedNoise, proportion_reaches
from tasks.decisions.statistics.power import (
    MeanLevel,
    PairedProportions,
    ProportionLevel,
    Rule,
    minimum_detectable_effect,
    power_of,
    rows_needed,
)

WITHIN = 0.03
"""Three points of power: what the simulations here can tell, and what is promised."""


def test_exact_power_gives_the_design_of_a_published_table() -> None:
    """A'Hern 2001 (Statistics in Medicine 20:859): 0.1 against 0.3 takes 25 rows, 6 of them."""
    enough = [proportion_reaches(0.1, 0.3, rows, 0.05) >= 0.8 for rows in range(1, 26)]
    assert enough.index(True) + 1 == 25
    assert mean_interval(np.repeat([1.0, 0.0], [6, 19]), binary=True, alpha=0.05).lower >= 0.1
    assert mean_interval(np.repeat([1.0, 0.0], [5, 20]), binary=True, alpha=0.05).lower < 0.1


def test_normal_power_is_the_textbook_formula() -> None:
    """((1.645 + 0.842) * 0.3 / 0.02) ** 2 rows."""
    assert rows_needed(MeanLevel(0.3), 0.02, alpha=0.05, power=0.8) == pytest.approx(1391, abs=2)


@pytest.mark.parametrize(("target", "margin"), [(0.9, 0.04), (0.6, 0.06), (0.98, 0.02)])
def test_power_of_a_level_is_that_of_the_rule(target: float, margin: float) -> None:
    rule, alpha, random = ProportionLevel(target), 0.05, np.random.default_rng(1)
    rows = rows_needed(rule, margin, alpha=alpha, power=0.8)
    bounds = [
        mean_interval(np.repeat([1.0, 0.0], [right, rows - right]), binary=True, alpha=alpha)
        for right in range(rows + 1)
    ]
    passes = np.array([each.lower >= target - margin for each in bounds])
    short = np.array([each.upper < target - margin for each in bounds])
    at_target = passes[random.binomial(rows, target, size=20_000)].mean()
    two_below = short[random.binomial(rows, target - 2 * margin, size=20_000)].mean()
    assert at_target == pytest.approx(rule.chance_to_pass(rows, margin, alpha), abs=0.01)
    assert two_below == pytest.approx(rule.chance_to_be_short(rows, margin, alpha), abs=0.01)
    assert min(at_target, two_below) >= 0.8 - 0.01
    assert min(at_target, two_below) <= 0.8 + WITHIN


@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_power_of_a_mean_is_that_of_the_rule(turned: float) -> None:
    """Of scores with a long tail to one side, for which the plain normal formula is five points off here."""
    random, rule, rows, margin = np.random.default_rng(2), MeanLevel(0.2, skewness=turned * 2**0.5), 250, 0.03
    noise = turned * 0.2 / 2**0.5 * (random.gamma(2.0, size=(1_500, rows)) - 2.0)
    intervals = [mean_interval(each, binary=False, alpha=0.05) for each in noise]
    passed = np.mean([each.lower >= -margin for each in intervals])
    short = np.mean([each.upper < margin for each in intervals])
    assert passed == pytest.approx(rule.chance_to_pass(rows, margin, 0.05), abs=WITHIN)
    assert short == pytest.approx(rule.chance_to_be_short(rows, margin, 0.05), abs=WITHIN)


@pytest.mark.parametrize(
    ("rule", "rows", "margin"),
    [
        (PairedProportions(0.2), 400, 0.06),
        (PairedProportions(0.05, level=0.9), 600, 0.02),
        (PairedProportions(0.1, target=0.05, level=0.8), 300, 0.04),
    ],
)
def test_power_of_a_paired_difference_is_that_of_the_rule(
    rule: PairedProportions, rows: int, margin: float
) -> None:
    random, runs = np.random.default_rng(3), 2_000
    found = {}
    for truth in (rule.target, rule.target - 2 * margin):
        discordance = max(rule.discordance, abs(truth))
        up, down = (discordance + truth) / 2, (discordance - truth) / 2
        cells = random.multinomial(rows, [rule.level - down, up, down, 1 - rule.level - up], size=runs)
        found[truth] = [
            difference_interval(
                np.repeat([1.0, 1.0, 0.0, 0.0], each),
                np.repeat([1.0, 0.0, 1.0, 0.0], each),
                binary=True,
                alpha=0.05,
            )
            for each in cells
        ]
    threshold = rule.target - margin
    passed = np.mean([each.lower >= threshold for each in found[rule.target]])
    short = np.mean([each.upper < threshold for each in found[rule.target - 2 * margin]])
    assert passed == pytest.approx(rule.chance_to_pass(rows, margin, 0.05), abs=WITHIN)
    assert short == pytest.approx(rule.chance_to_be_short(rows, margin, 0.05), abs=WITHIN)


def test_power_over_seeds_is_that_of_the_rule() -> None:
    """Of seeds that get the same rows right but for their own level, for which the formula takes them."""
    random, runs, noise = np.random.default_rng(4), 1_000, SeedNoise(seeds=3, deviation=0.02)
    rule, rows = ProportionLevel(0.85), 600
    passed = 0
    for _ in range(runs):
        levels = 0.85 + noise.deviation * random.standard_normal(3)
        right = (random.random(rows) < levels[:, None]).astype(float)
        passed += seeded_mean_interval(right, binary=True, alpha=0.05).lower >= 0.79
    expected = rule.chance_to_pass(rows, 0.06, 0.05, noise)
    assert 0.4 < expected < 0.95
    assert passed / runs == pytest.approx(expected, abs=WITHIN)


RULES = st.one_of(
    st.floats(0.6, 0.99).map(ProportionLevel),
    st.floats(0.05, 2.0).map(MeanLevel),
)


@settings(deadline=None, max_examples=25)
@given(RULES, st.floats(0.03, 0.1), st.sampled_from([0.01, 0.05]), st.sampled_from([0.8, 0.9]))
@example(ProportionLevel(0.6015625), 0.0304, 0.01, 0.9)
def test_rows_needed_and_least_margin_are_two_sides_of_one_thing(
    rule: Rule, margin: float, alpha: float, power: float
) -> None:
    rows = rows_needed(rule, margin, alpha=alpha, power=power)
    assert power_of(rule, rows, margin, alpha=alpha) >= power
    dip = 0.002 if rows > 3400 else 0.0
    assert all(power_of(rule, more, margin, alpha=alpha) >= power - dip for more in range(rows, rows + 60, 7))
    # Where there are many rows, not each number of them is looked at.
    assert any(power_of(rule, fewer, margin, alpha=alpha) < power for fewer in range(rows - 3, rows))
    # A hundredth is left for the teeth that the chance of a count has over margins, too.
    assert minimum_detectable_effect(rule, rows, alpha=alpha, power=power) <= margin * 1.01


@settings(deadline=None, max_examples=8)
@given(RULES, st.floats(0.03, 0.1))
def test_more_is_asked_of_more_rows(rule: Rule, margin: float) -> None:
    def rows(alpha: float, power: float, width: float) -> int:
        return rows_needed(rule, width, alpha=alpha, power=power)

    usual = rows(0.05, 0.8, margin)
    assert rows(0.01, 0.8, margin) > usual
    assert rows(0.05, 0.95, margin) > usual
    assert rows(0.05, 0.8, margin / 2) > usual


def test_spread_between_seeds_asks_for_more_rows_or_seeds() -> None:
    rule = ProportionLevel(0.9)
    alone = rows_needed(rule, 0.05, alpha=0.05, power=0.8)
    three = rows_needed(rule, 0.05, alpha=0.05, power=0.8, noise=SeedNoise(3, 0.01))
    five = rows_needed(rule, 0.05, alpha=0.05, power=0.8, noise=SeedNoise(5, 0.01))
    assert alone < five < three
    with pytest.raises(ValueError, match="train more than 3 seeds"):
        rows_needed(rule, 0.05, alpha=0.05, power=0.8, noise=SeedNoise(3, 0.05))


@pytest.mark.parametrize("margin", [0.0, -0.1, 0.9])
def test_a_margin_that_asks_for_nothing_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="a margin lies above 0"):
        power_of(ProportionLevel(0.9), 100, margin, alpha=0.05)


def test_one_row_decides_nothing() -> None:
    with pytest.raises(ValueError, match="1 rows decide no margin"):
        minimum_detectable_effect(ProportionLevel(0.9), 1, alpha=0.05, power=0.8)
