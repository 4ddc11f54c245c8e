"""Places told shortly: a file named once for the rows that follow one another in it."""

from collections.abc import Sequence


def told_places(places: Sequence[str], total: int) -> str:
    """``a.jsonl, row 4, 15, 17 and 20 more`` for the first few of ``total`` places."""
    told: list[str] = []
    last = ""
    for place in places:
        file, comma, row = place.rpartition(", row ")
        told.append(row if comma and file == last and row.isdigit() else place)
        last = file
    more = total - len(places)
    return ", ".join(told) + (f" and {more:,} more" if more > 0 else "")
