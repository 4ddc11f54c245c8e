"""Cells sized by ``rows_needed``: is the power found that was promised?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.operating.cells import Cell, Kind, simulate
from benchmarks.operating.models import DEVIATION, LEVEL_OF_REFERENCE, SKEWNESS, own_variance
from tasks.decisions.statistics.chances import ONE_SEED, SeedNoise
from tasks.decisions.statistics.power import MeanLevel, PairedProportions, ProportionLevel, Rule, rows_needed


@dataclass(frozen=True)
class Promise:
    """A rule, and the power asked for."""

    kind: Kind
    target: float
    margin: float
    alpha: float
    power: float
    runs: int
    discordance: float = 0.0
    seeds: int = 1
    spread: float = 0.0

    @property
    def rule(self) -> Rule:
        if self.kind is Kind.BINARY:
            return ProportionLevel(self.target)
        if self.kind is Kind.CONTINUOUS:
            return MeanLevel(DEVIATION, SKEWNESS)
        return PairedProportions(self.discordance, level=LEVEL_OF_REFERENCE)

    def noise(self, rows: int) -> SeedNoise:
        """What somebody would have measured: the seeds' spread, and each seed's own luck with the rows."""
        if self.seeds == 1:
            return ONE_SEED
        luck = own_variance(self.target - self.margin) / rows
        return SeedNoise(self.seeds, (self.spread**2 + luck) ** 0.5)


def simulate_promise(promise: Promise) -> Mapping[str, Any]:
    """The rows that the promise takes, the chances computed for them, and the shares found."""
    rows = 1_000
    for _ in range(1 if promise.seeds == 1 else 8):  # the luck depends on the rows
        rows = rows_needed(
            promise.rule, promise.margin, alpha=promise.alpha, power=promise.power, noise=promise.noise(rows)
        )
    arguments = rows, promise.margin, promise.alpha, promise.noise(rows)
    chances = promise.rule.chance_to_pass(*arguments), promise.rule.chance_to_be_short(*arguments)
    found = [_share(promise, rows, shortfall) for shortfall in (0.0, 2.0)]
    return {
        "what": promise.kind.value,
        "target": promise.target,
        "margin": promise.margin,
        "alpha": promise.alpha,
        "discordance": promise.discordance,
        "seeds": promise.seeds,
        "spread": promise.spread,
        "rows_needed": rows,
        "power_promised": promise.power,
        "chance_to_pass_at_the_target": {"computed": round(chances[0], 4), "found": found[0]},
        "chance_to_be_shown_short_two_margins_below": {"computed": round(chances[1], 4), "found": found[1]},
        "power_found": min(found),
    }


def _share(promise: Promise, rows: int, shortfall: float) -> float:
    cell = Cell(
        kind=promise.kind,
        rows=rows,
        shortfall=shortfall,
        spread=promise.spread,
        seeds=promise.seeds,
        runs=promise.runs,
        discordance=promise.discordance,
        target=promise.target,
        margin=promise.margin,
        alpha=promise.alpha,
    )
    return float(simulate(cell)["failed" if shortfall else "passed"])
