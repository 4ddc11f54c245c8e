"""How often the gates are wrong, and how often they can tell: simulated runs whose truth is known.

    python -m benchmarks.operating_characteristics

Models of a known level score gate rows drawn afresh; the project's own intervals and three-way rule judge
them. A target of 90 % and a margin of 2 points put the threshold at 88 %; alpha is 5 % for each bound. Truths
lie 0 (at the target), 1 (at the threshold), 2 and 3 margins below the target.

- Levels, right or wrong and continuous: all of rows {100, 300, 1,000, 3,000, 10,000}, truths, seed spreads
  {0, 1, 2 points} and seeds {1, 3}.
- Paired differences, right or wrong: all of rows, truths and discordances {5, 10, 20, 40 %}, with one seed of
  no spread and with three of 1 point; other spreads and seeds at a discordance of 10 % only. A true
  difference larger than the discordance raises it to itself.
- 2,000 runs a cell, or 1,000 where bounds are bootstrapped.

The rows share their difficulty between seeds, baselines and nights (80 % of a row's latent variance). Seeds'
levels are normal around the method's, which is the truth that bounds over seeds are for.

The usual gate, on the same draws, asks ``lora_score - baseline >= target_improvement`` of plain averages. The
baseline truly is 5 points below the threshold and the improvement asked for is those 5 points, so that both
gates ask for the same. Its "not passed" counts as an escalation, as there is no third verdict.

Nightly: 20 looks of models retrained and truly at the threshold, where both verdicts are counted as wrong (a
pass is no more likely anywhere below it); alpha / 20 each night beside alpha each night. Creep: each of 20
challengers is truly 0.3 points worse than the champion it meets and differs from it on 10 % of the rows; it
is promoted where it is not inferior by the margin, to the champion alone or also to the first champion,
frozen. Power: cells sized by ``rows_needed``, with the chances it computed beside the shares found.

Every cell draws from random numbers of its own, so that results do not depend on the number of processes.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.operating.cells import Cell, Kind, simulate
from benchmarks.operating.findings import beyond_chance, summarise
from benchmarks.operating.nights import Creep, Looks, simulate_creep, simulate_looks
from benchmarks.operating.sizes import Promise, simulate_promise

Work = Cell | Looks | Creep | Promise
Found = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    rows: tuple[int, ...]
    runs: int
    bootstrapped_runs: int
    nights_runs: int
    power_runs: int


FULL = Size((100, 300, 1_000, 3_000, 10_000), 2_000, 1_000, 1_000, 4_000)
QUICK = Size((100, 1_000), 200, 100, 40, 300)


def planned(size: Size) -> list[Work]:
    return [*_levels(size), *_differences(size), *_nightly(size), *_promises(size)]


def _levels(size: Size) -> list[Cell]:
    return [
        Cell(kind, rows, shortfall, spread, seeds, runs)
        for kind, runs in ((Kind.BINARY, size.runs), (Kind.CONTINUOUS, size.bootstrapped_runs))
        for spread in (0.0, 0.01, 0.02)
        for seeds in (1, 3)
        for shortfall in (0.0, 1.0, 2.0, 3.0)
        for rows in size.rows
    ]


def _differences(size: Size) -> list[Cell]:
    return [
        Cell(Kind.PAIRED, rows, shortfall, spread, seeds, runs, discordance, target=0.0)
        for discordance in (0.05, 0.1, 0.2, 0.4)
        for seeds, runs in ((1, size.runs), (3, size.bootstrapped_runs))
        for spread in ((0.0, 0.01, 0.02) if discordance == 0.1 else (0.0,) if seeds == 1 else (0.01,))
        for shortfall in (0.0, 1.0, 2.0, 3.0)
        for rows in size.rows
    ]


def _nightly(size: Size) -> list[Looks | Creep]:
    rows = [each for each in size.rows if 300 < each <= 3_000]
    looks = [
        Looks(each, seeds, spread, size.nights_runs)
        for each in rows
        for seeds, spread in ((1, 0.0), (3, 0.0), (3, 0.01))
    ]
    return [*looks, *(Creep(each, size.nights_runs) for each in size.rows if each >= 1_000)]


def _promises(size: Size) -> list[Promise]:
    runs = size.power_runs
    return [
        Promise(Kind.BINARY, 0.9, 0.02, 0.05, 0.8, runs),
        Promise(Kind.BINARY, 0.9, 0.02, 0.0025, 0.8, runs),
        Promise(Kind.BINARY, 0.8, 0.05, 0.05, 0.9, runs),
        Promise(Kind.BINARY, 0.97, 0.02, 0.05, 0.9, runs),
        Promise(Kind.BINARY, 0.9, 0.05, 0.05, 0.8, runs, seeds=3, spread=0.01),
        Promise(Kind.CONTINUOUS, 0.9, 0.02, 0.05, 0.8, runs),
        Promise(Kind.CONTINUOUS, 0.9, 0.04, 0.05, 0.9, runs),
        Promise(Kind.PAIRED, 0.0, 0.02, 0.05, 0.8, runs, discordance=0.05),
        Promise(Kind.PAIRED, 0.0, 0.03, 0.05, 0.8, runs, discordance=0.1),
        Promise(Kind.PAIRED, 0.0, 0.03, 0.0025, 0.9, runs, discordance=0.2),
    ]


def run(work: Work) -> Found:
    if isinstance(work, Cell):
        return simulate(work)
    if isinstance(work, Looks):
        return simulate_looks(work)
    return simulate_creep(work) if isinstance(work, Creep) else dict(simulate_promise(work))


def simulate_all(plan: Sequence[Work], processes: int) -> list[Found]:
    """What was found for each piece of work, in the order of the plan."""
    # The longest first, so that no process is left with one at the end.
    order = sorted(range(len(plan)), key=lambda place: -_effort(plan[place]))
    found: dict[int, Found] = {}
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.imap(run, [plan[place] for place in order])
        for place, result in zip(order, results, strict=True):
            found[place] = result
            seconds = time.monotonic() - began
            print(
                f"\r{len(found)} of {len(plan)} after {seconds:,.0f} s", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    return [found[place] for place in range(len(plan))]


def _effort(work: Work) -> float:
    if isinstance(work, Promise):
        return 1e12
    looks = 1 if isinstance(work, Cell) else 40
    return float(looks * work.runs * (work.rows + 2_000))


def report(plan: Sequence[Work], found: Sequence[Found]) -> tuple[Found, list[Found]]:
    """The findings, and the cells they rest on."""
    by_kind = {
        kind: [result for work, result in zip(plan, found, strict=True) if isinstance(work, kind)]
        for kind in (Cell, Looks, Creep, Promise)
    }
    cells = by_kind[Cell]
    return {
        "what": "simulated runs of known truth, judged by the project's intervals and rule; shares of runs",
        "alpha": 0.05,
        "summary": summarise(cells),
        "bounds_beyond_alpha_and_chance": beyond_chance(cells),
        "nightly": by_kind[Looks],
        "champion_creep": by_kind[Creep],
        "power": by_kind[Promise],
    }, cells


def written(result: Found, cells: Sequence[Found]) -> str:
    """JSON with one line a cell, so that a change shows as the cells it changed."""
    lines = ",\n    ".join(json.dumps(list(cell.values())) for cell in cells)
    # Paired cells lack the last column, which is the usual gate's.
    columns = json.dumps(list(cells[0]))
    table = f'  "columns": {columns},\n  "cells": [\n    {lines}\n  ]\n'
    return json.dumps(result, indent=2)[: -len("\n}")] + ",\n" + table + "}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs of few cells: does it work?")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--output", type=Path, help="folder of the results; with --quick they are only printed without it"
    )
    arguments = parser.parse_args()
    plan = planned(QUICK if arguments.quick else FULL)
    began = time.monotonic()
    result, cells = report(plan, simulate_all(plan, arguments.processes))
    seconds = time.monotonic() - began
    result |= {
        "machine": machine("numpy", "scipy")
        | {"processes": arguments.processes, "minutes": round(seconds / 60, 1)}
    }
    print(json.dumps(result, indent=2))
    folder = arguments.output or (None if arguments.quick else Path(__file__).parent)
    if folder is not None:
        from benchmarks.operating.picture import draw

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "operating_characteristics.json").write_text(written(result, cells), encoding="utf-8")
        draw(result, cells, folder / "operating_characteristics.svg")


if __name__ == "__main__":
    main()
