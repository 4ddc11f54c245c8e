"""The learning curve as a table and as a picture."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from data_contracts.records.evidence import CurvePoint
from tasks.evidence.files import write_atomically

CURVE_TABLE = "curve.parquet"
CURVE_PICTURE = "curve.svg"


def write_curve(folder: Path, curve: Sequence[CurvePoint], *, title: str) -> None:
    """Writes ``curve.parquet`` and ``curve.svg`` into ``folder``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([point.model_dump() for point in curve])
    temporary = folder / f".{CURVE_TABLE}"
    pq.write_table(table, temporary)
    os.replace(temporary, folder / CURVE_TABLE)
    write_atomically(folder / CURVE_PICTURE, draw_curve(curve, title=title))


def draw_curve(curve: Sequence[CurvePoint], *, title: str) -> bytes:
    """The curve as an SVG file; the same curve gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "lorafirst", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        trained = [(point.step, point.train_loss) for point in curve if point.train_loss is not None]
        axes.plot(
            [step for step, _ in trained],
            [loss for _, loss in trained],
            color="#9aa0a6",
            marker=".",
            label="train",
        )
        axes.plot(
            [point.step for point in curve],
            [point.tune_loss for point in curve],
            color="#1a73e8",
            marker="o",
            label="tune",
        )
        axes.set(xlabel="optimizer step", ylabel="loss (nats)", title=title)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
