"""Running checks as Great Expectations suites, batch by batch."""

import importlib
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.data.contracts.checks import Check, CheckKind, View
from tasks.data.rows.row_batches import KINDS, STRING, Column

if TYPE_CHECKING:
    import pandas as pd

_REPEATS = frozenset({CheckKind.UNIQUE, CheckKind.UNIQUE_TOGETHER})


@dataclass(frozen=True)
class CheckResult:
    """What the data said to one check."""

    check: Check
    passed: bool
    observed: float
    """Broken rows (in percent where the check says so), or the table's own figure; NaN after a fault."""
    broken: np.ndarray[Any, np.dtype[np.int64]]
    """Positions of the rows that break it, ascending. A repeated value's first row is not among them."""
    fault: str | None = None
    """Why the check could not run at all; then it has not passed."""
    found: str = ""
    """What there is to say beside the number; empty where the number says it all."""
    others: np.ndarray[Any, np.dtype[np.int64]] | None = None
    """Beside ``broken``: a row that each of them repeats or meets. ``None`` for rules about rows alone."""


@dataclass(frozen=True)
class Observation:
    """What one batch said to one check."""

    broken: np.ndarray[Any, np.dtype[np.int64]]
    """Positions in the batch, ascending."""
    observed: float | None = None
    """The table's own figure."""
    fault: str | None = None


class Suite:
    """Checks that are run on one batch after another."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self.checks = tuple(checks)
        self._validate = _validator(self.checks) if self.checks else None

    def run(self, columns: Mapping[str, "Column | np.ndarray[Any, Any]"]) -> tuple[Observation, ...]:
        """What the batch says to every check, in the order given."""
        if self._validate is None:
            return ()
        frame = _checked_frame(columns, self.checks)
        found: dict[int, Any] = {}
        for result in self._validate(frame).results:
            # Great Expectations returns results in an order of its own, and names need not be unique.
            found[result.expectation_config.meta["position"]] = result
        return tuple(_observation(check, found.get(index), frame) for index, check in enumerate(self.checks))


def judged(
    check: Check, observations: Sequence[Observation], starts: Sequence[int], rows: int
) -> CheckResult:
    """The result over all batches, which start at ``starts`` among so many ``rows``."""
    shifted = [seen.broken + start for seen, start in zip(observations, starts, strict=True)]
    broken = np.concatenate(shifted) if shifted else np.empty(0, np.int64)
    fault = next((seen.fault for seen in observations if seen.fault), None)
    if fault is not None:
        return CheckResult(check, False, math.nan, broken, fault)
    if check.whole_table:
        observed = observations[0].observed if observations else None
        if observed is None:
            return CheckResult(check, False, math.nan, broken, "Great Expectations observed no value")
    else:
        observed = len(broken) * 100.0 / rows if check.in_percent and rows else len(broken)
    passed = all(comparison.holds(float(observed)) for comparison in check.comparisons)
    return CheckResult(check, passed, float(observed), broken)


def _validator(checks: Sequence[Check]) -> Any:
    # Read once, when Great Expectations is imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(
        name="contract", expectations=[_expectation(check, index) for index, check in enumerate(checks)]
    )

    def validate(frame: "pd.DataFrame") -> Any:
        return definition.get_batch({"dataframe": frame}).validate(
            suite,
            # Rows are named by the frame's own index: naming them by a column would look each one up.
            result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
        )

    return validate


def _expectation(check: Check, position: int) -> Any:
    # Typed as anything: its module exports these classes without saying so to type checkers.
    gxe: Any = importlib.import_module("great_expectations.expectations")
    named: dict[str, Any] = {"meta": {"rule": check.name, "position": position}}
    column = {"column": check.frame_column, **named}
    match check.kind:
        case CheckKind.NOT_NULL:
            return gxe.ExpectColumnValuesToNotBeNull(**column)
        case CheckKind.IN_SET:
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(check.values), **column)
        case CheckKind.RULE:
            return gxe.ExpectColumnValuesToBeInSet(value_set=[False], **column)
        case CheckKind.BETWEEN:
            limits = {"min_value": check.minimum, "max_value": check.maximum}
            return gxe.ExpectColumnValuesToBeBetween(**limits, **column)
        case CheckKind.PATTERN:
            return gxe.ExpectColumnValuesToMatchRegex(regex=check.pattern, **column)
        case CheckKind.UNIQUE:
            return gxe.ExpectColumnValuesToBeUnique(**column)
        case CheckKind.UNIQUE_TOGETHER:
            return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(check.columns), **named)
        # The last three are run for the figure they observe, which the check then compares.
        case CheckKind.ROW_COUNT:
            return gxe.ExpectTableRowCountToBeBetween(min_value=0, **named)
        case CheckKind.DISTINCT:
            return gxe.ExpectColumnUniqueValueCountToBeBetween(min_value=0, **column)
        case CheckKind.TOTAL:
            return gxe.ExpectColumnSumToBeBetween(min_value=0, **column)


def _observation(check: Check, result: Any, frame: "pd.DataFrame") -> Observation:
    none = np.empty(0, np.int64)
    fault = "Great Expectations returned no result for it" if result is None else _fault(result)
    if fault is not None:
        return Observation(none, fault=without_values(fault, {check.frame_column, *check.columns})[:300])
    if check.whole_table:
        observed = result.result.get("observed_value")
        return Observation(none, observed=None if observed is None else float(observed))
    broken = _broken(check, result, frame)
    if bool(result.success) != (not len(broken)):
        return Observation(broken, fault="its verdict contradicts the rows it named")
    return Observation(broken)


def _broken(check: Check, result: Any, frame: "pd.DataFrame") -> np.ndarray[Any, np.dtype[np.int64]]:
    positions = np.array(sorted(result.result.get("unexpected_index_list") or []), dtype=np.int64)
    if check.kind not in _REPEATS:
        return positions
    columns = check.columns if check.kind is CheckKind.UNIQUE_TOGETHER else (check.frame_column,)
    repeated = frame.loc[positions, list(columns)].duplicated(keep="first")
    again: np.ndarray[Any, np.dtype[np.int64]] = positions[repeated.to_numpy()]
    return again


def _fault(result: Any) -> str | None:
    """The message of an exception inside Great Expectations, which keeps it in two shapes."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception")]
    if raised:
        return str(raised[0].get("exception_message") or "an exception without a message")
    return None


def without_values(message: str, known: Collection[str]) -> str:
    """``message`` with "..." for whatever it quotes but the names ``known``.

    Libraries quote the values that they stumble over, and evidence must hold nobody's words.
    """

    def shown(quoted: re.Match[str]) -> str:
        return quoted[0] if quoted[2] in known else f"{quoted[1]}...{quoted[1]}"

    return re.sub(r"""(['"`])(.*?)(?:\1|$)""", shown, message, flags=re.DOTALL)


def _checked_frame(
    columns: Mapping[str, "Column | np.ndarray[Any, Any]"], checks: Sequence[Check]
) -> "pd.DataFrame":
    """A column for each view that a check takes; rows are named by their position."""
    import pandas as pd

    series: dict[str, Any] = {}
    for check in checks:
        for name, column in _sources(check, columns):
            target = name if check.view is View.VALUE else check.frame_column
            if target not in series:
                series[target] = _view(column, check)
    rows = next((len(values) for values in series.values()), _rows(columns))
    return pd.DataFrame(series, index=range(rows))


def _rows(columns: Mapping[str, "Column | np.ndarray[Any, Any]"]) -> int:
    first = next(iter(columns.values()), None)
    return len(first.texts) if isinstance(first, Column) else 0 if first is None else len(first)


def _sources(
    check: Check, columns: Mapping[str, "Column | np.ndarray[Any, Any]"]
) -> list[tuple[str, "Column | np.ndarray[Any, Any]"]]:
    names = (check.frame_column,) if check.kind is CheckKind.RULE else check.columns
    return [(name, columns[name]) for name in names if name in columns]


def _view(column: "Column | np.ndarray[Any, Any]", check: Check) -> "pd.Series[Any]":
    import pandas as pd

    if isinstance(column, np.ndarray):
        return _series(_types(column)) if check.view is View.TYPE else pd.Series(column)
    match check.view:
        case View.NUMBER:
            return pd.to_numeric(_series(column.values()), errors="coerce").astype(float)
        case View.LENGTH:
            return pd.Series(_lengths(column))
        case View.TYPE:
            return _series([KINDS[kind] if kind else None for kind in column.kinds])
        case View.PRESENT:
            return _series([None if value in check.missing else value for value in _flat(column)])
        case _:
            return _series(_flat(column))


def _types(values: np.ndarray[Any, Any]) -> list[str | None]:
    """Of computed columns, which are truth values or whole numbers, NaN where nothing could be computed."""
    if values.dtype == np.bool_:
        return ["boolean"] * len(values)
    return [None if missing else "integer" for missing in np.isnan(values)]


def _lengths(column: Column) -> np.ndarray[Any, Any]:
    """Characters of each text without the white space around it; NaN for what is no text."""
    import pyarrow.compute as pc

    counted = pc.utf8_length(pc.utf8_trim_whitespace(column.texts)).cast("float64")
    return np.where(column.kinds == STRING, counted.to_numpy(zero_copy_only=False), np.nan)


def _flat(column: Column) -> list[Any]:
    """The values, with nested ones as JSON, which can be compared and hashed."""
    values = column.values()
    return [
        text if isinstance(value, list | dict) else value
        for value, text in zip(values, column.texts.to_pylist(), strict=True)
    ] if not column.only_strings else values  # fmt: skip


def _series(values: list[Any]) -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series(values, dtype=object)
