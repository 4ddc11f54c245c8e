"""One cell: many simulated runs under one truth, judged by the project's own intervals and rule."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from benchmarks.operating.models import (
    LEVEL_OF_REFERENCE,
    BinaryRows,
    ContinuousRows,
    Random,
    changed_hits,
    reference_hits,
    seed_levels,
)
from data_contracts.records.decision import Interval, Verdict
from tasks.decisions.gates.rules import three_way
from tasks.decisions.statistics import seeded_difference_interval, seeded_mean_interval

SEED = 20_260_101
TARGET, UPLIFT = 0.9, 0.05


class Kind(StrEnum):
    """What is judged."""

    BINARY = "level, right or wrong"
    CONTINUOUS = "level, continuous"
    PAIRED = "paired difference, right or wrong"


@dataclass(frozen=True)
class Cell:
    """One truth, one size of the gate set, one number of seeds."""

    kind: Kind
    rows: int
    shortfall: float
    """Margins by which the truth is below the target; 1 is the threshold itself."""
    spread: float
    """Standard deviation of seeds' true levels."""
    seeds: int
    runs: int
    discordance: float = 0.0
    """Share of rows on which both sides differ; paired differences only."""
    target: float = TARGET
    """For paired differences always 0: not worse."""
    margin: float = 0.02
    alpha: float = 0.05

    @property
    def key(self) -> list[int]:
        """What the cell's random numbers are drawn from: the cell itself, and nothing of where it runs."""
        described = repr(sorted(asdict(self).items())).encode()
        return [SEED, *np.frombuffer(described + b" " * (-len(described) % 4), dtype=np.uint32).tolist()]


def simulate(cell: Cell) -> dict[str, Any]:
    """The cell's description, and in what share of its runs what happened."""
    random = np.random.default_rng(cell.key)
    judge = _paired_run if cell.kind is Kind.PAIRED else _level_run
    counts = np.zeros(len(_SHARES))
    for _ in range(cell.runs):
        counts += judge(cell, random)
    shares = dict(zip(_SHARES, (counts / cell.runs).round(5).tolist(), strict=True))
    if cell.kind is Kind.PAIRED:
        del shares["usual_pass"]
    return asdict(cell) | shares


_SHARES = ("passed", "failed", "lower_above_truth", "upper_below_truth", "usual_pass")


def _level_run(cell: Cell, random: Random) -> list[bool]:
    truth, threshold = cell.target - cell.shortfall * cell.margin, cell.target - cell.margin
    population = BinaryRows if cell.kind is Kind.BINARY else ContinuousRows
    rows = population.draw(cell.rows, random)
    scores = rows.scores(seed_levels(truth, cell.spread, cell.seeds, random), random)
    baseline = rows.scores(np.array([threshold - UPLIFT]), random)
    interval = seeded_mean_interval(scores, binary=rows.binary, alpha=cell.alpha)
    usual = scores.mean() - baseline.mean() >= UPLIFT
    return [*_judged(interval, truth, threshold), bool(usual)]


def _paired_run(cell: Cell, random: Random) -> list[bool]:
    truth = -cell.shortfall * cell.margin
    second = reference_hits(cell.rows, random)
    gains = truth + cell.spread * random.standard_normal(cell.seeds)
    first = changed_hits(second, LEVEL_OF_REFERENCE, gains, cell.discordance, random)
    interval = seeded_difference_interval(first, second, binary=True, alpha=cell.alpha)
    return [*_judged(interval, truth, -cell.margin), False]


def _judged(interval: Interval, truth: float, threshold: float) -> list[bool]:
    verdict = three_way(interval, threshold, higher_is_better=True)
    return [
        verdict is Verdict.PASS,
        verdict is Verdict.FAIL,
        interval.lower > truth,
        interval.upper < truth,
    ]
