"""What the cells amount to: where a bound or a verdict errs more often than alpha, beyond chance."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.operating.cells import Kind

Found = dict[str, Any]

_DEVIATIONS = 3.0
"""Monte Carlo standard deviations that are put down to chance; of a thousand true bounds one exceeds them."""


def allowed(alpha: float, runs: int) -> float:
    """The largest share of errors that is still within chance of ``alpha``."""
    return float(alpha + _DEVIATIONS * (alpha * (1.0 - alpha) / runs) ** 0.5)


def summarise(cells: Sequence[Found]) -> Found:
    """By kind and number of seeds: the worst cell, how many are beyond chance, and which."""
    result: Found = {}
    for kind in Kind:
        for seeds, unmeasured in ((1, False), (1, True), (3, None)):
            chosen = [
                cell
                for cell in cells
                if cell["kind"] == kind
                and cell["seeds"] == seeds
                and unmeasured in (None, cell["spread"] > 0.0)
            ]
            if chosen:
                note = {True: ", spread of 1 or 2 points", False: ", no spread", None: ", all spreads"}
                result[f"{kind.value}; {seeds} seeds{note[unmeasured]}"] = _group(chosen)
    return result


def _group(cells: Sequence[Found]) -> Found:
    at_least = [cell for cell in cells if cell["shortfall"] <= 1.0]
    below = [cell for cell in cells if cell["shortfall"] >= 1.0]
    return {
        "lower_bound_above_the_truth": _worst(cells, lambda cell: cell["lower_above_truth"]),
        "upper_bound_below_the_truth": _worst(cells, lambda cell: cell["upper_below_truth"]),
        "wrong_escalations": _worst(at_least, lambda cell: cell["failed"]),
        "false_passes": _worst(below, lambda cell: cell["passed"]),
        "mean_shares_by_margins_below_the_target": {
            f"{shortfall:g}": _means([cell for cell in cells if cell["shortfall"] == shortfall])
            for shortfall in sorted({cell["shortfall"] for cell in cells})
        },
    }


def _means(cells: Sequence[Found]) -> Found:
    """Of each verdict, and of the usual gate's, which escalates whatever does not pass."""
    keys = [key for key in ("passed", "failed", "usual_pass") if key in cells[0]]
    return {key: round(sum(cell[key] for cell in cells) / len(cells), 4) for key in keys}


def _worst(cells: Sequence[Found], share: Callable[[Found], float]) -> Found:
    beyond = [cell for cell in cells if share(cell) > allowed(cell["alpha"], cell["runs"])]
    worst = max(cells, key=share)
    return {
        "cells": len(cells),
        "mean": round(sum(map(share, cells)) / len(cells), 4),
        "largest": round(share(worst), 4),
        "largest_at": _place(worst),
        "beyond_alpha_and_chance": len(beyond),
    }


def beyond_chance(cells: Iterable[Found]) -> list[str]:
    """Each bound that errs more often than alpha by more than chance, of cells whose spread is in the bounds.

    One seed's bounds are for that seed: where seeds differ they miss the method's level (``summarise``).
    """
    names = {"lower_above_truth": "lower bound", "upper_below_truth": "upper bound"}
    return [
        f"{cell['kind']}, {_place(cell)}: {name} errs in {cell[key]:.2%}"
        for cell in cells
        for key, name in names.items()
        if (cell["seeds"] > 1 or cell["spread"] == 0.0) and cell[key] > allowed(cell["alpha"], cell["runs"])
    ]


def _place(cell: Found) -> str:
    discordance = f", discordance {cell['discordance']:g}" if cell["discordance"] else ""
    return (
        f"{cell['rows']:,} rows, {cell['seeds']} seeds of spread {cell['spread']:g}, "
        f"{cell['shortfall']:g} margins below the target{discordance}"
    )
