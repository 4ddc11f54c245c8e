"""What is wrong with a text as such: bytes that were lost, encodings mixed up, control characters.

Every function returns, for each text of an Arrow array, whether the fault is in it; a null has none.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}]"
"""C0 and C1 control characters less tab, line feed and carriage return."""


def has_replacement_characters(texts: "pa.Array") -> Flags:
    """U+FFFD, which stands where somebody decoded bytes that were not UTF-8: those bytes are gone."""
    import pyarrow.compute as pc

    return flags(pc.match_substring(texts, "\ufffd"))


def has_control_characters(texts: "pa.Array") -> Flags:
    """Characters that no keyboard writes and no reader sees, such as NUL, escape or the C1 controls."""
    return matching(texts, _CONTROL)


def has_mojibake(texts: "pa.Array") -> Flags:
    """Sequences that come about when UTF-8 is read as another encoding, by ftfy's heuristic of badness."""
    from ftfy.badness import is_bad

    return confirmed(~ascii_only(texts), texts, is_bad)


def matching(texts: "pa.Array", pattern: str) -> Flags:
    """Whether the RE2 ``pattern`` matches somewhere."""
    import pyarrow.compute as pc

    return flags(pc.match_substring_regex(texts, pattern))


def confirmed(suspects: Flags, texts: "pa.Array", test: Callable[[str], bool]) -> Flags:
    """Those of the ``suspects`` of which ``test`` holds: the cheap look first, the exact one at few texts."""
    import pyarrow as pa

    found = np.zeros(len(texts), dtype=bool)
    positions = np.flatnonzero(suspects)
    if len(positions):
        chosen = texts.take(pa.array(positions)).to_pylist()
        found[positions] = [text is not None and test(text) for text in chosen]
    return found


def ascii_only(texts: "pa.Array") -> Flags:
    """Whether a text is of ASCII characters alone; true for a null."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.string_is_ascii(texts), True))


def flags(mask: "pa.Array") -> Flags:
    """An Arrow mask as an array of truth values, null as false."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(mask, False))
