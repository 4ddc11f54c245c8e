"""A classifier's calibration beside its scores: the bins as a record, and their picture."""

import io
from pathlib import Path

from data_contracts.records.calibration import Reliability
from tasks.evidence.files import write_atomically

RELIABILITY = "reliability.json"
RELIABILITY_PICTURE = "reliability.svg"


def write_reliability(folder: Path, reliability: Reliability, *, title: str) -> None:
    """Writes ``reliability.json`` and ``reliability.svg`` into ``folder``."""
    write_atomically(folder / RELIABILITY, reliability.canonical_json())
    write_atomically(folder / RELIABILITY_PICTURE, draw_reliability(reliability, title=title))


def draw_reliability(reliability: Reliability, *, title: str) -> bytes:
    """The reliability diagram as an SVG file; the same bins give the same bytes.

    Points on the diagonal keep their word; below it the classifier is surer than it is right.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "lorafirst", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4.2, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#9aa0a6", linewidth=1)
        axes.plot(
            [each.mean_confidence for each in reliability.bins],
            [each.accuracy for each in reliability.bins],
            color="#1a73e8",
            marker="o",
        )
        axes.set(
            xlabel="probability of the answered label",
            ylabel="share that is right",
            xlim=(0, 1.02),
            ylim=(0, 1.02),
            title=f"{title}\nexpected calibration error {reliability.expected_calibration_error:.3f}",
        )
        axes.grid(alpha=0.3)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
