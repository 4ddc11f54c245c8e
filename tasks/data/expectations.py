"""Running checks as one Great Expectations suite."""

import importlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.data.checks import Check, CheckKind, View

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CheckResult:
    """What the data said to one check."""

    check: Check
    passed: bool
    observed: float
    """Broken rows (in percent where the check says so), or the table's own figure; NaN after a fault."""
    broken: tuple[int, ...]
    """Positions of the rows that break it, ascending. A repeated value's first row is not among them."""
    fault: str | None
    """Why the check could not run at all; then it has not passed."""


def run_checks(frame: "pd.DataFrame", checks: Sequence[Check]) -> tuple[CheckResult, ...]:
    """The result of every check, in the order given."""
    if not checks:
        return ()
    found: dict[int, Any] = {}
    checked = _checked_frame(frame, checks)
    for result in _validate(checked, checks).results:
        # Great Expectations returns results in an order of its own, and names need not be unique.
        found[result.expectation_config.meta["position"]] = result
    return tuple(_result(check, found.get(index), checked) for index, check in enumerate(checks))


def _validate(frame: "pd.DataFrame", checks: Sequence[Check]) -> Any:
    # Read once, when Great Expectations is imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    expectations = [_expectation(check, index) for index, check in enumerate(checks)]
    suite = gx.ExpectationSuite(name="contract", expectations=expectations)
    return batch.validate(
        suite,
        # Rows are named by the frame's own index: naming them by a column would look each one up by itself.
        result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
    )


def _expectation(check: Check, position: int) -> Any:
    # Typed as anything: its module exports these classes without saying so to type checkers.
    gxe: Any = importlib.import_module("great_expectations.expectations")
    named: dict[str, Any] = {"meta": {"rule": check.name, "position": position}}
    column = {"column": check.frame_column, **named}
    limits = {"min_value": check.minimum, "max_value": check.maximum}
    match check.kind:
        case CheckKind.NOT_NULL:
            return gxe.ExpectColumnValuesToNotBeNull(**column)
        case CheckKind.IN_SET:
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(check.values), **column)
        case CheckKind.BETWEEN:
            return gxe.ExpectColumnValuesToBeBetween(**limits, **column)
        case CheckKind.LENGTH:
            return gxe.ExpectColumnValueLengthsToBeBetween(**limits, **column)
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


def _result(check: Check, result: Any, checked: "pd.DataFrame") -> CheckResult:
    rows = len(checked)
    fault = "Great Expectations returned no result for it" if result is None else _fault(result)
    if fault is not None:
        return CheckResult(check, passed=False, observed=math.nan, broken=(), fault=fault)
    if check.whole_table:
        observed = result.result.get("observed_value")
        broken: tuple[int, ...] = ()
        if observed is None:
            return CheckResult(check, False, math.nan, (), "Great Expectations observed no value")
    else:
        broken = _broken(check, result, checked)
        observed = len(broken) * 100.0 / rows if check.in_percent and rows else len(broken)
        if bool(result.success) != (not broken):
            return CheckResult(check, False, math.nan, broken, "its verdict contradicts the rows it named")
    passed = all(comparison.holds(float(observed)) for comparison in check.comparisons)
    return CheckResult(check, passed, float(observed), broken, None)


def _broken(check: Check, result: Any, checked: "pd.DataFrame") -> tuple[int, ...]:
    positions = sorted(int(entry) for entry in result.result.get("unexpected_index_list") or [])
    if check.kind not in {CheckKind.UNIQUE, CheckKind.UNIQUE_TOGETHER}:
        return tuple(positions)
    columns = check.columns if check.kind is CheckKind.UNIQUE_TOGETHER else (check.frame_column,)
    repeated = checked.loc[positions, list(columns)].duplicated(keep="first")
    return tuple(position for position, again in zip(positions, repeated, strict=True) if again)


def _fault(result: Any) -> str | None:
    """The message of an exception inside Great Expectations, which keeps it in two shapes."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception")]
    if raised:
        return str(raised[0].get("exception_message") or "an exception without a message")[:300]
    return None


def _checked_frame(frame: "pd.DataFrame", checks: Sequence[Check]) -> "pd.DataFrame":
    """``frame`` with a column for each view; nested values as JSON, which can be compared and hashed."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for check in checks:
        for name in check.columns:
            if check.view is View.VALUE and name in frame:
                columns[name] = _series([_flat(value) for value in frame[name]])
        if check.view is not View.VALUE and check.columns[0] in frame:
            columns[check.frame_column] = _view(frame[check.columns[0]], check)
    # The index is the position, which is how broken rows are named.
    return pd.DataFrame(columns, index=range(len(frame)))


def _view(values: "pd.Series[Any]", check: Check) -> "pd.Series[Any]":
    import pandas as pd

    match check.view:
        case View.NUMBER:
            return pd.to_numeric(values, errors="coerce").astype(float).reset_index(drop=True)
        case View.STRIPPED:
            return _series([value.strip() if isinstance(value, str) else None for value in values])
        case View.TYPE:
            return _series([type_name(value) for value in values])
        case _:
            return _series([None if value in check.missing else _flat(value) for value in values])


def _series(values: list[Any]) -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series(values, dtype=object)


def _flat(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return value


def type_name(value: object) -> str | None:
    """ODCS's name for the type of ``value``; ``None`` for a null, which has none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)
