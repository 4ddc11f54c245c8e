"""Bars and histograms as plain markup: they scale without their letters shrinking, and print."""

from collections.abc import Sequence

from tasks.data.pages.markup import Html, tag
from tasks.data.snapshot.summaries import Lengths


def bars(entries: Sequence[tuple[str, int]], *, total: int, kinds: Sequence[str] = ()) -> Html:
    """One horizontal bar an entry, as long as its share of ``total``, with its count beside it.

    ``kinds`` colours each bar: ``bad``, ``warn`` or nothing.
    """
    rows = []
    for index, (name, count) in enumerate(entries):
        width = f"width:{100 * count / total:.1f}%"
        kind = kinds[index] if kinds else ""
        bar = tag("i", style=width, **({"class_": kind} if kind else {}))
        share = f"{count:,}  ({_percent(count, total)})"
        rows.append(
            tag(
                "tr",
                tag("td", name, class_="name"),
                tag("td", tag("div", bar if count else Html(""), class_="track")),
                tag("td", share, class_="number"),
            )
        )
    return tag("table", tag("tbody", *rows), class_="bars")


def histogram(title: str, lengths: Lengths, unit: str) -> Html:
    """Vertical bars, each with what it counts for readers that point at it or read aloud."""
    most = max(count for _, _, count in lengths.bins) or 1
    width = 100 / len(lengths.bins)
    drawn = []
    for index, (low, high, count) in enumerate(lengths.bins):
        height = 100 * count / most
        drawn.append(
            tag(
                "rect",
                tag("title", f"{low:,} to {high - 1:,} {unit}: {count:,} rows"),
                x=f"{index * width + 0.15:.2f}",
                y=f"{100 - height:.2f}",
                width=f"{width - 0.3:.2f}",
                height=f"{height:.2f}",
            )
        )
    said = (
        f"median {lengths.median:,}, 95 % of the rows up to {lengths.long:,}, "
        f"from {lengths.shortest:,} to {lengths.longest:,} {unit}"
    )
    picture = tag(
        "svg",
        *drawn,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: {said}",
    )
    last = lengths.bins[-1]
    tail = last[1] - last[0] > lengths.bins[0][1] - lengths.bins[0][0]
    beyond = f"{last[0]:,} and more" if tail else f"{last[1]:,}"
    return tag(
        "figure",
        tag("h3", title),
        picture,
        tag(
            "div",
            tag("span", f"{lengths.bins[0][0]:,}"),
            tag("span", unit),
            tag("span", beyond),
            class_="scale",
        ),
        tag("figcaption", f"{said}; the highest bar is {most:,} rows"),
    )


def _percent(count: int, total: int) -> str:
    share = 100 * count / total if total else 0.0
    return f"{share:.1f} %" if share >= 0.1 or not count else "<0.1 %"
