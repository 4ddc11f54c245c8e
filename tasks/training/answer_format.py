"""Whether answers have the form that whatever reads them needs."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError


def matches_format(
    answers: Sequence[str], pattern: str, *, where: str = "the answers' pattern"
) -> NDArray[np.float64]:
    """1 for each answer that ``pattern`` matches from its first to its last character, else 0; (rows,).

    White space around an answer doesn't count. ``where`` is how an error names the setting. Python's
    expressions backtrack: a pattern with nested repetitions can take very long on a long answer.

    Raises:
        InputError: ``pattern`` is not a regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError.single(
            where,
            expected="a regular expression of Python's re",
            found=f"{pattern[:80]!r}: {error}",
            remedy="correct the pattern; special characters that are meant as such need a backslash",
        ) from error
    return np.array([compiled.fullmatch(answer.strip()) is not None for answer in answers], dtype=np.float64)
