"""A metric of the user's own: found by its import path, called, and held to what the settings say of it."""

import importlib
import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.records.scoring import CustomMetric

Rows = Sequence[Mapping[str, Any]]

SAMPLE = 32
"""So many rows are scored a second time, to see whether the same rows score the same again."""


@dataclass(frozen=True)
class OwnFunction:
    """A function that scores each row, and what was said of its scores."""

    settings: CustomMetric
    function: Callable[..., Any]
    wants_rows: bool

    def scores(self, answers: Sequence[str], references: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        """(rows,). The first rows are scored once more by themselves.

        Raises:
            InputError: the function raises, gives other than one finite number a row inside its range, or
                other scores for the same rows.
        """
        values = self._call(answers, references, rows)
        again = self._call(answers[:SAMPLE], references[:SAMPLE], rows[:SAMPLE])
        # Rounded differently in batches of another size is the same; drawn at random, or seen from the
        # other rows, is not.
        differs = ~np.isclose(values[:SAMPLE], again, rtol=1e-5, atol=1e-8)
        if differs.any():
            row = int(differs.argmax())
            raise self._refused(
                "the same score for the same row, whichever rows stand beside it",
                f"row {row + 1} scored {values[row]:g} and then {again[row]:g}",
                "make it depend on the row's own answer and reference alone, without random numbers",
            )
        return values

    def _call(self, answers: Sequence[str], references: Sequence[str], rows: Rows) -> NDArray[np.float64]:
        given: tuple[Any, ...] = (list(answers), list(references))
        try:
            result = self.function(*given, **({"rows": list(rows)} if self.wants_rows else {}))
            values = [float(value) for value in result]
        except Exception as error:
            raise self._refused(
                "one number for each row",
                f"{type(error).__name__}: {str(error)[:200]}{_place(error)}",
                "mend the function; it is called with two lists of texts"
                + (" and the rows" if self.wants_rows else ""),
            ) from error
        if len(values) != len(answers):
            raise self._refused(
                f"{len(answers)} scores, one a row", f"{len(values)}", "return a score for every row"
            )
        for row, value in enumerate(values):
            self._require_in_range(value, row)
        return np.asarray(values, dtype=np.float64)

    def _require_in_range(self, value: float, row: int) -> None:
        metric = self.settings.metric()
        fits = math.isfinite(value) and metric.within_range(value) and (not metric.binary or value in (0, 1))
        if not fits:
            raise self._refused(
                "0 or 1" if metric.binary else f"finite scores from {metric.range_text}",
                f"{value:g} for row {row + 1}",
                "correct the function, or minimum, maximum and binary in the settings",
            )

    def _refused(self, expected: str, found: str, remedy: str) -> InputError:
        where = f"scoring.custom {self.settings.name}, {self.settings.function}"
        return InputError.single(where, expected=expected, found=found, remedy=remedy)


def find_function(settings: CustomMetric) -> OwnFunction:
    """The function that ``settings`` name.

    Raises:
        InputError: its module cannot be imported, or holds no function that takes answers and references.
    """
    module_name, _, name = settings.function.partition(":")

    def refused(expected: str, found: str, remedy: str) -> InputError:
        where = f"scoring.custom {settings.name}, {settings.function}"
        return InputError.single(where, expected=expected, found=found, remedy=remedy)

    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise refused(
            f"a module {module_name} that Python can import",
            f"{type(error).__name__}: {str(error)[:200]}{_place(error)}",
            "install its package beside lorafirst, or name its folder in PYTHONPATH",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        offered = ", ".join(key for key, value in vars(module).items() if inspect.isfunction(value))
        raise refused(
            f"a function {name} in {module_name}",
            "none of that name" if function is None else f"a {type(function).__name__}",
            f"name one of {offered}" if offered else "define it there",
        )
    wants_rows = "rows" in _parameters(function)
    try:
        given: tuple[Any, ...] = ((), ())
        inspect.signature(function).bind(*given, **({"rows": ()} if wants_rows else {}))
    except (TypeError, ValueError) as error:
        raise refused(
            "a function of answers and references, and perhaps rows",
            f"{name}{_signature(function)}",
            "give its other parameters a default",
        ) from error
    return OwnFunction(settings, function, wants_rows)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _signature(function: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return ", whose parameters cannot be read"


def _place(error: Exception) -> str:
    """File and line that raised, where that is the user's code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    frames = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
