"""Twenty nights on the same gate rows: wrong verdicts that add up, and a champion that creeps down."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.operating.cells import SEED, TARGET, UPLIFT
from benchmarks.operating.models import BinaryRows, Random, changed_hits, seed_levels
from data_contracts.records.decision import Verdict
from tasks.decisions.gates.rules import three_way
from tasks.decisions.statistics import seeded_difference_interval, seeded_mean_interval

NIGHTS, MARGIN, ALPHA = 20, 0.02, 0.05


@dataclass(frozen=True)
class Looks:
    """A model retrained each night, truly at the threshold, and looked at on the same rows."""

    rows: int
    seeds: int
    spread: float
    runs: int


@dataclass(frozen=True)
class Creep:
    """Challengers each truly a little worse than the champion they challenge."""

    rows: int
    runs: int
    step: float = 0.003
    """By how much each is worse."""
    discordance: float = 0.1


def simulate_looks(looks: Looks) -> dict[str, Any]:
    """In what share of the runs any night errs, with alpha spent over nights or alpha each night."""
    random = np.random.default_rng([SEED, 1, looks.rows, looks.seeds, round(1e4 * looks.spread)])
    outcomes = np.array([_nights_of_looks(looks, random) for _ in range(looks.runs)])  # (runs, rules, 2)
    any_night = outcomes.mean(axis=0).round(4)
    return asdict(looks) | {
        rule: {"wrongly_escalates": float(fails), "falsely_passes": float(passes)}
        for rule, (passes, fails) in zip(("spent", "each_night", "usual"), any_night, strict=True)
    }


def simulate_creep(creep: Creep) -> dict[str, Any]:
    """How far below the first champion the last one truly is, in points, with the anchor and without."""
    random = np.random.default_rng([SEED, 2, creep.rows])
    result: dict[str, Any] = asdict(creep)
    for name, anchored, alpha in (
        ("champion_only", False, ALPHA / NIGHTS),
        ("champion_and_anchor", True, ALPHA / NIGHTS),
        ("champion_only_alpha_each_night", False, ALPHA),
        ("champion_and_anchor_alpha_each_night", True, ALPHA),
    ):
        falls = np.array([_nights_of_creep(creep, anchored, alpha, random) for _ in range(creep.runs)])
        points = 100.0 * falls  # (runs, nights)
        result[name] = {
            "mean_fall_in_points": round(float(points[:, -1].mean()), 3),
            "fall_in_points_of_the_worst_twentieth": round(float(np.quantile(points[:, -1], 0.95)), 3),
            "fell_more_than_the_margin": round(float((falls[:, -1] > MARGIN + 1e-9).mean()), 4),
            "mean_fall_in_points_by_night": points.mean(axis=0).round(3).tolist(),
        }
    return result


def _nights_of_looks(looks: Looks, random: Random) -> list[tuple[bool, bool]]:
    """For each rule, whether any night passed and whether any failed."""
    threshold, rows = TARGET - MARGIN, BinaryRows.draw(looks.rows, random)
    baseline = rows.scores(np.array([threshold - UPLIFT]), random).mean()
    found: list[set[Verdict]] = [set(), set(), set()]
    for _ in range(NIGHTS):
        scores = rows.scores(seed_levels(threshold, looks.spread, looks.seeds, random), random)
        for seen, alpha in zip(found, (ALPHA / NIGHTS, ALPHA), strict=False):
            interval = seeded_mean_interval(scores, binary=True, alpha=alpha)
            seen.add(three_way(interval, threshold, higher_is_better=True))
        found[2].add(Verdict.PASS if scores.mean() - baseline >= UPLIFT else Verdict.FAIL)
    return [(Verdict.PASS in seen, Verdict.FAIL in seen) for seen in found]


def _nights_of_creep(creep: Creep, anchored: bool, alpha: float, random: Random) -> list[float]:
    """How far the champion's true level has fallen after each night."""
    anchor = (random.random((1, creep.rows)) < TARGET).astype(np.float64)
    champion, level, falls = anchor, TARGET, []
    for _ in range(NIGHTS):
        challenger = changed_hits(champion, level, np.array([-creep.step]), creep.discordance, random)
        rivals = [champion, anchor] if anchored else [champion]
        if all(_not_inferior(challenger, rival, alpha) for rival in rivals):
            champion, level = challenger, level - creep.step
        falls.append(TARGET - level)
    return falls


def _not_inferior(challenger: Any, rival: Any, alpha: float) -> bool:
    interval = seeded_difference_interval(challenger, rival, binary=True, alpha=alpha)
    return three_way(interval, -MARGIN, higher_is_better=True) is Verdict.PASS
