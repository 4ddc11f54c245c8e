"""One picture of the operating characteristics; the same figures give the same file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.operating.cells import Kind
from benchmarks.operating.findings import allowed

Found = dict[str, Any]
_COLORS = {0.0: "#4c78a8", 0.01: "#f58518", 0.02: "#b279a2"}


def draw(result: Found, cells: Sequence[Found], path: Path) -> None:
    """Writes the picture as SVG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "lorafirst", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(10, 7.5), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(2, 2)
        levels = [cell for cell in cells if cell["kind"] == Kind.BINARY]
        _wrong_escalations(axes[0][0], levels)
        _power_curves(axes[0][1], levels)
        _nights(axes[1][0], result["nightly"])
        _creep(axes[1][1], result["champion_creep"])
        for each in axes.flat:
            each.spines[["top", "right"]].set_visible(False)
        with path.open("wb") as stream:
            figure.savefig(stream, format="svg", metadata={"Date": None})


def _wrong_escalations(axes: Any, cells: Sequence[Found]) -> None:
    at_threshold = [cell for cell in cells if cell["shortfall"] == 1.0]
    for spread, color in _COLORS.items():
        for seeds, line in ((3, "-"), (1, "--")):
            chosen = [c for c in at_threshold if c["spread"] == spread and c["seeds"] == seeds]
            axes.plot(
                [cell["rows"] for cell in chosen],
                [cell["failed"] for cell in chosen],
                line,
                color=color,
                marker=".",
                label=f"{seeds} {'seed' if seeds == 1 else 'seeds'}, spread {100 * spread:g} points",
            )
    usual = [cell for cell in at_threshold if cell["spread"] == 0.0 and cell["seeds"] == 1]
    axes.plot(
        [c["rows"] for c in usual],
        [1 - c["usual_pass"] for c in usual],
        ":",
        color="grey",
        label="usual gate",
    )
    axes.axhspan(0, allowed(usual[0]["alpha"], usual[0]["runs"]), color="#54a24b", alpha=0.15)
    axes.set(xscale="log", xlabel="gate rows", ylabel="share of runs", ylim=(0, None))
    axes.set_title("Wrong escalation of a model at the threshold\n(shaded: alpha, and chance)")
    axes.legend(fontsize=7)


def _power_curves(axes: Any, cells: Sequence[Found]) -> None:
    chosen = [cell for cell in cells if cell["spread"] == 0.0 and cell["seeds"] == 1]
    sizes = sorted({cell["rows"] for cell in chosen})
    for place, rows in enumerate(sizes):
        line = sorted((c for c in chosen if c["rows"] == rows), key=lambda c: float(c["shortfall"]))
        shade = str(0.75 - 0.75 * place / max(len(sizes) - 1, 1))
        x = [cell["shortfall"] for cell in line]
        axes.plot(x, [cell["passed"] for cell in line], "-", color=shade, label=f"{rows:,} rows")
        axes.plot(x, [cell["failed"] for cell in line], "--", color=shade)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set(xlabel="true shortfall from the target, margins (1 is the threshold)", ylabel="share of runs")
    axes.set_title("Passed (solid) and shown short (dashed), one seed\nthe rest is inconclusive")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.36, 1.0))


def _nights(axes: Any, nightly: Sequence[Found]) -> None:
    names = {"spent": "alpha spent over 20 nights", "each_night": "alpha each night", "usual": "usual gate"}
    for place, (rule, name) in enumerate(names.items()):
        heights = [case[rule]["wrongly_escalates"] for case in nightly]
        axes.bar([each + 0.27 * place for each in range(len(nightly))], heights, width=0.25, label=name)
    axes.axhline(0.05, color="grey", linewidth=0.8)
    labels = [f"{case['rows']:,}\n{case['seeds']} x {100 * case['spread']:g}" for case in nightly]
    axes.set_xticks([each + 0.27 for each in range(len(nightly))], labels, fontsize=7)
    axes.set(xlabel="gate rows; seeds x spread in points", ylabel="share of runs")
    axes.set_title("Any wrong escalation in 20 nights, model at the threshold")
    axes.set_ylim(0, 1.35)
    axes.legend(fontsize=7, loc="upper center", ncols=3)


def _creep(axes: Any, creeps: Sequence[Found]) -> None:
    for creep, color in zip(creeps, _COLORS.values(), strict=False):
        for rule, line in (("champion_only", "--"), ("champion_and_anchor", "-")):
            falls = creep[rule]["mean_fall_in_points_by_night"]
            label = f"{creep['rows']:,} rows, {'champion and anchor' if line == '-' else 'champion only'}"
            axes.plot(range(1, len(falls) + 1), [-fall for fall in falls], line, color=color, label=label)
    axes.axhline(-2.0, color="grey", linewidth=0.8)
    axes.set(xlabel="night", ylabel="points, true level of the champion")
    axes.set_title("Each challenger is 0.3 points worse than the champion\n(line: the margin)")
    axes.legend(fontsize=7)
