"""Intervals against their thresholds, and learning curves, as inline SVG.

Letters stand outside the pictures, so that these stretch to any width without their letters shrinking.
"""

from collections.abc import Sequence

from data_contracts.records.decision import Verdict
from data_contracts.records.evidence import CurvePoint
from tasks.audit.way import JudgedRule
from tasks.data.pages.markup import Html, tag

_KINDS = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "warn"}


def interval_chart(judged: JudgedRule) -> Html:
    """The observed interval as a bar with its mean, the threshold as a line, what is asked for shaded.

    Nothing for a rule without an interval or without a number that it is held to.
    """
    interval, limit = judged.rule.interval, judged.limit
    if interval is None or limit is None:
        return Html("")
    low, high = min(interval.lower, limit), max(interval.upper, limit)
    room = 0.12 * (high - low) or 1.0
    low, high = low - room, high + room

    def place(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    side = "at least" if judged.higher_is_better else "at most"
    said = (
        f"{judged.rule.name}: {interval.mean:.4g}, from {interval.lower:.4g} to {interval.upper:.4g}; "
        f"asked for {side} {limit:.4g}"
    )
    asked = {"x": place(limit), "width": f"{100 * (high - limit) / (high - low):.2f}%"}
    if not judged.higher_is_better:
        asked = {"x": "0", "width": place(limit)}
    across = {"y1": "50%", "y2": "50%"}
    picture = tag(
        "svg",
        tag("title", said),
        tag("rect", class_="asked", y="0", height="100%", **asked),
        tag("line", class_="span", x1=place(interval.lower), x2=place(interval.upper), **across),
        *(
            tag("line", class_="span", x1=place(bound), x2=place(bound), y1="25%", y2="75%")
            for bound in (interval.lower, interval.upper)
        ),
        tag("circle", cx=place(interval.mean), cy="50%", r="5"),
        tag("line", class_="limit", x1=place(limit), x2=place(limit), y1="0", y2="100%"),
        role="img",
        aria_label=said,
        class_=_KINDS[judged.rule.verdict],
    )
    confidence = f"{100 * (1 - interval.alpha):.6g} % each bound"
    seeds = f", {interval.seeds} seeds" if interval.seeds > 1 else ""
    return tag(
        "figure",
        picture,
        tag("div", tag("span", f"{low:.3g}"), tag("span", f"{high:.3g}"), class_="scale"),
        tag(
            "figcaption",
            f"{interval}, the line is {side} {limit:.4g}; {interval.rows:,} rows{seeds}, {confidence}, "
            f"{interval.method}",
        ),
        class_="interval",
    )


def curve_chart(title: str, curve: Sequence[CurvePoint]) -> Html:
    """Loss on train (dashed) and on tune over optimizer steps; nothing for fewer than two points."""
    if len(curve) < 2:
        return Html("")
    tune = [(point.step, point.tune_loss) for point in curve]
    train = [(point.step, point.train_loss) for point in curve if point.train_loss is not None]
    losses = [loss for _, loss in (*tune, *train)]
    low, high, last = min(losses), max(losses), max(1, curve[-1].step)
    height = (high - low) or 1.0

    def line(points: Sequence[tuple[int, float]], kind: str) -> Html:
        places = " ".join(
            f"{100 * step / last:.2f},{4 + 92 * (high - loss) / height:.2f}" for step, loss in points
        )
        return tag("polyline", points=places, class_=kind)

    said = f"loss on tune from {tune[0][1]:.4g} to {tune[-1][1]:.4g} nats over {last:,} steps"
    if train:
        said += f", on train {train[-1][1]:.4g} in the end"
    picture = tag(
        "svg",
        tag("title", said),
        *([line(train, "train")] if len(train) > 1 else []),
        line(tune, "tune"),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: {said}",
    )
    return tag(
        "figure",
        tag("h3", title),
        tag("div", tag("span", f"{high:.4g} nats"), class_="scale"),
        picture,
        tag(
            "div",
            tag("span", f"{low:.4g} nats, step 0"),
            tag("span", f"step {last:,}"),
            class_="scale",
        ),
        tag("figcaption", f"{said}. Solid: tune; dashed: train."),
        class_="curve",
    )
