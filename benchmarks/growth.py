"""Whether a process grows: its memory and open files, looked at again and again."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.operating.processes import is_running
from flows.operating.state import StartedProcess

MEBIBYTE = 2**20
_KIBIBYTE = 2**10


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    after: int
    """How many runs had ended."""
    resident_bytes: int
    proportional_bytes: int
    """Of pages shared by several processes its part alone."""
    open_files: int


def sample(process: StartedProcess, after: int) -> Sample | None:
    """What the system says of it now; ``None`` if it does not run any more."""
    if not is_running(process):
        return None
    folder = Path(f"/proc/{process.pid}")
    try:
        lines = (folder / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        open_files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return Sample(after, kibibytes["Rss"] * _KIBIBYTE, kibibytes["Pss"] * _KIBIBYTE, open_files)


@dataclass(frozen=True)
class Growth:
    """One figure over the runs."""

    first_quarter: float
    """The median over the first quarter of the looks."""
    last_quarter: float
    per_run: float
    """The slope of the line of least squares behind the first quarter, in which a process warms up."""


def growth(runs: Sequence[int], values: Sequence[float]) -> Growth:
    """How ``values`` change with ``runs``; raises ``ValueError`` where too few looks could show it."""
    quarter = len(values) // 4
    if len(values) < 4 or len(set(runs[quarter:])) < 2:
        raise ValueError("four looks after different runs are the fewest that can show a growth")
    return Growth(
        statistics.median(values[:quarter]),
        statistics.median(values[-quarter:]),
        statistics.linear_regression(runs[quarter:], values[quarter:]).slope,
    )


def without_largest_step(values: Sequence[float]) -> tuple[float, list[float]]:
    """The largest rise from one look to the next, and the values with all behind it lowered by so much.

    A process that loads something once is larger from then on, and does not grow.
    """
    steps = [after - before for before, after in itertools.pairwise(values)]
    at = max(range(len(steps)), key=steps.__getitem__)
    return steps[at], [value - steps[at] * (order > at) for order, value in enumerate(values)]


def told(samples: Sequence[Sample]) -> dict[str, object]:
    """The growth of one process in MiB and files; of too few looks, their number alone."""
    runs = [each.after for each in samples]
    figures = {
        "resident_mib": [each.resident_bytes / MEBIBYTE for each in samples],
        "proportional_mib": [each.proportional_bytes / MEBIBYTE for each in samples],
        "open_files": [float(each.open_files) for each in samples],
    }
    found: dict[str, object] = {"looks": len(samples), "runs_ended_meanwhile": runs[-1] - runs[0]}
    for name, values in figures.items():
        try:
            of_it = growth(runs, values)
        except ValueError:
            return found
        found[name] = {
            "first_quarter": round(of_it.first_quarter, 1),
            "last_quarter": round(of_it.last_quarter, 1),
            "per_run": round(of_it.per_run, 3),
        }
    step, others = without_largest_step(figures["resident_mib"])
    found |= {
        "largest_step_of_resident_mib": round(step, 1),
        "resident_mib_per_run_without_it": round(growth(runs, others).per_run, 3),
        "resident_mib_at_each_look": [round(each) for each in figures["resident_mib"]],
    }
    return found
