"""Bars of letters in a Markdown table, which every viewer of Markdown can show."""

from collections.abc import Sequence

_WIDTH = 24


def text_bars(entries: Sequence[tuple[str, int]], total: int) -> list[str]:
    """The lines of a table with a bar, a count and a share of ``total`` for each entry."""
    most = max((count for _, count in entries), default=0) or 1
    return [
        "| | | rows | share |",
        "| --- | --- | ---: | ---: |",
        *(
            f"| {code_cell(name)} | {'█' * max(round(_WIDTH * count / most), count > 0)} | {count:,} "
            f"| {100 * count / total if total else 0:.1f} % |"
            for name, count in entries
        ),
    ]


def code_cell(text: str) -> str:
    """``text`` as a cell in which nothing of it is markup."""
    for character in "\\`*_{}[]<>#|!~":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
