"""A slice of the simulation: three seeds keep to alpha, and the simulation says what it simulates."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.operating.cells import Cell, Kind, simulate
from benchmarks.operating.findings import allowed, beyond_chance, summarise
from benchmarks.operating.models import (
    DEVIATION,
    LEVEL_OF_REFERENCE,
    SKEWNESS,
    BinaryRows,
    ContinuousRows,
    changed_hits,
    own_variance,
    reference_hits,
)
from benchmarks.operating.nights import Creep, Looks, simulate_creep, simulate_looks
from benchmarks.operating.picture import draw
from benchmarks.operating.sizes import Promise, simulate_promise
from benchmarks.operating_characteristics import FULL, Work, planned, report, run, simulate_all, written

SLICE = [
    Cell(Kind.BINARY, 300, 1.0, 0.0, 3, 400),
    Cell(Kind.BINARY, 300, 1.0, 0.02, 3, 400),
    Cell(Kind.BINARY, 3_000, 1.0, 0.01, 3, 400),
    Cell(Kind.CONTINUOUS, 300, 1.0, 0.01, 3, 200),
    Cell(Kind.PAIRED, 300, 1.0, 0.01, 3, 300, discordance=0.1, target=0.0),
]


@pytest.mark.parametrize("cell", SLICE, ids=lambda cell: f"{cell.kind}, {cell.rows} rows, {cell.spread}")
def test_three_seeds_escalate_wrongly_no_more_often_than_alpha(cell: Cell) -> None:
    found = simulate(cell)
    assert found["failed"] <= allowed(cell.alpha, cell.runs)
    assert found["passed"] <= allowed(cell.alpha, cell.runs)
    assert beyond_chance([found]) == []


def test_one_seed_escalates_wrongly_where_seeds_differ() -> None:
    """What the rule of three seeds is there for; also shows that the cells can tell."""
    found = simulate(Cell(Kind.BINARY, 3_000, 1.0, 0.01, 1, 300))
    assert found["failed"] > allowed(0.05, 300)
    group = summarise([found])["level, right or wrong; 1 seeds, spread of 1 or 2 points"]
    assert group["wrong_escalations"]["beyond_alpha_and_chance"] == 1
    # It is known, and not listed among the bounds that do not keep what they promise.
    assert beyond_chance([found]) == []


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_processes() -> None:
    plan: list[Work] = [
        Cell(Kind.BINARY, 100, 1.0, 0.0, 3, 5),
        Cell(Kind.CONTINUOUS, 100, 0.0, 0.01, 1, 5),
        Looks(100, 3, 0.01, 2),
        Creep(100, 2),
    ]
    alone = [run(work) for work in plan]
    assert simulate_all(plan, 2) == alone
    assert [run(work) for work in reversed(plan)] == alone[::-1]


def test_models_score_what_they_are_said_to() -> None:
    random = np.random.default_rng(0)
    levels = np.array([0.85, 0.9])
    hits = BinaryRows.draw(200_000, random).scores(levels, random)
    assert hits.mean(axis=1) == pytest.approx(levels, abs=0.004)
    disagreement = (hits[0] != BinaryRows.draw(200_000, random).scores(levels, random)[0]).mean()
    assert (hits[0] != hits[1]).mean() < disagreement

    scores = ContinuousRows.draw(200_000, random).scores(levels, random)
    assert scores.mean(axis=1) == pytest.approx(levels, abs=0.004)
    centered = scores[0] - scores[0].mean()
    assert centered.std() == pytest.approx(DEVIATION, rel=0.02)
    assert (centered**3).mean() / centered.std() ** 3 == pytest.approx(SKEWNESS, rel=0.05)

    second = reference_hits(200_000, random)
    first = changed_hits(second, LEVEL_OF_REFERENCE, np.array([-0.03, 0.01]), 0.1, random)
    assert (first - second).mean(axis=1) == pytest.approx([-0.03, 0.01], abs=0.004)
    assert (first != second).mean(axis=1) == pytest.approx(0.1, abs=0.004)


def test_a_seeds_own_luck_is_what_varies_on_the_same_rows() -> None:
    random, rows = np.random.default_rng(1), BinaryRows.draw(2_000, np.random.default_rng(2))
    means = rows.scores(np.full(1_500, 0.9), random).mean(axis=1)
    assert means.var() == pytest.approx(own_variance(0.9) / 2_000, rel=0.15)


def test_rows_needed_keep_their_promise() -> None:
    found = simulate_promise(Promise(Kind.BINARY, 0.8, 0.05, 0.05, 0.8, runs=1_500))
    assert found["power_found"] == pytest.approx(found["power_promised"], abs=0.03)


def test_spending_alpha_and_the_anchor_do_what_they_are_for() -> None:
    looks = simulate_looks(Looks(300, 1, 0.0, 60))
    assert looks["spent"]["wrongly_escalates"] <= allowed(0.05, 60)
    assert looks["each_night"]["wrongly_escalates"] > looks["spent"]["wrongly_escalates"]
    creep = simulate_creep(Creep(10_000, 10))
    assert creep["champion_only"]["mean_fall_in_points"] > 3.0
    assert creep["champion_and_anchor"]["mean_fall_in_points"] < 2.0


def test_the_plan_holds_every_factor_and_no_cell_twice() -> None:
    plan = planned(FULL)
    assert len(set(plan)) == len(plan)
    levels = [work for work in plan if isinstance(work, Cell) and work.kind is not Kind.PAIRED]
    assert len(levels) == 2 * 5 * 4 * 3 * 2
    differences = [work for work in plan if isinstance(work, Cell) and work.kind is Kind.PAIRED]
    assert {work.discordance for work in differences} == {0.05, 0.1, 0.2, 0.4}
    assert {work.shortfall for work in differences} == {0.0, 1.0, 2.0, 3.0}


def test_the_same_figures_give_the_same_files(tmp_path: Path) -> None:
    plan: list[Work] = [
        *(Cell(Kind.BINARY, 100, float(margins), 0.0, 1, 5) for margins in range(4)),
        Cell(Kind.PAIRED, 100, 1.0, 0.0, 1, 5, discordance=0.1, target=0.0),
        Looks(100, 1, 0.0, 2),
        Creep(100, 2),
    ]
    result, cells = report(plan, [run(work) for work in plan])
    document = json.loads(written(result, cells))
    assert len(document["cells"]) == 5
    assert dict(zip(document["columns"], document["cells"][0], strict=True)) == cells[0]
    for name in ("one.svg", "other.svg"):
        draw(result, cells, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
