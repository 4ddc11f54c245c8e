"""A check: one rule of a contract, as data, before anything runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from data_contracts.records.snapshot import RuleSeverity


class CheckKind(StrEnum):
    """What a check looks at; each is one Great Expectations expectation."""

    NOT_NULL = "not_null"
    IN_SET = "in_set"
    BETWEEN = "between"
    PATTERN = "pattern"
    UNIQUE = "unique"
    UNIQUE_TOGETHER = "unique_together"
    ROW_COUNT = "row_count"
    DISTINCT = "distinct"
    TOTAL = "total"
    RULE = "rule"
    """A rule of our own, see ``tasks.data.contracts.rule_catalogue``; its flags are held against Great
    Expectations' set of permitted values like any column."""


class Scope(StrEnum):
    """What a rule of our own must have seen before it can judge."""

    ROW = "row"
    """One row alone."""
    ROWS = "rows"
    """All rows, to point at some."""
    TABLE = "table"
    """All accepted rows, to observe something of the whole."""


WHOLE_TABLE = frozenset({CheckKind.ROW_COUNT, CheckKind.DISTINCT, CheckKind.TOTAL})
"""Kinds that observe one number of the table instead of pointing at rows."""


class View(StrEnum):
    """How a check sees its column."""

    VALUE = "value"
    NUMBER = "number"
    LENGTH = "length"
    """Characters of a text without the white space around it, so that a text of blanks counts as empty."""
    TYPE = "type"
    """The name of each value's type."""
    PRESENT = "present"
    """With the check's ``missing`` values turned into nulls."""


class Operator(StrEnum):
    """ODCS's comparisons, under their own names."""

    MUST_BE = "mustBe"
    MUST_NOT_BE = "mustNotBe"
    MUST_BE_GREATER_THAN = "mustBeGreaterThan"
    MUST_BE_GREATER_OR_EQUAL_TO = "mustBeGreaterOrEqualTo"
    MUST_BE_LESS_THAN = "mustBeLessThan"
    MUST_BE_LESS_OR_EQUAL_TO = "mustBeLessOrEqualTo"
    MUST_BE_BETWEEN = "mustBeBetween"
    MUST_NOT_BE_BETWEEN = "mustNotBeBetween"


@dataclass(frozen=True)
class Comparison:
    """What the observed number must be."""

    operator: Operator
    bounds: tuple[float, ...]
    """One number, or two for the operators with ``Between`` (both ends included)."""

    def holds(self, observed: float) -> bool:
        low, high = self.bounds[0], self.bounds[-1]
        match self.operator:
            case Operator.MUST_BE:
                return observed == low
            case Operator.MUST_NOT_BE:
                return observed != low
            case Operator.MUST_BE_GREATER_THAN:
                return observed > low
            case Operator.MUST_BE_GREATER_OR_EQUAL_TO:
                return observed >= low
            case Operator.MUST_BE_LESS_THAN:
                return observed < low
            case Operator.MUST_BE_LESS_OR_EQUAL_TO:
                return observed <= low
            case Operator.MUST_BE_BETWEEN:
                return low <= observed <= high
            case Operator.MUST_NOT_BE_BETWEEN:
                return not low <= observed <= high

    def __str__(self) -> str:
        words = {
            Operator.MUST_BE: "exactly {}",
            Operator.MUST_NOT_BE: "not {}",
            Operator.MUST_BE_GREATER_THAN: "more than {}",
            Operator.MUST_BE_GREATER_OR_EQUAL_TO: "at least {}",
            Operator.MUST_BE_LESS_THAN: "less than {}",
            Operator.MUST_BE_LESS_OR_EQUAL_TO: "at most {}",
            Operator.MUST_BE_BETWEEN: "{} to {}",
            Operator.MUST_NOT_BE_BETWEEN: "outside {} to {}",
        }
        return words[self.operator].format(*(f"{bound:g}" for bound in self.bounds))


NONE_BROKEN = Comparison(Operator.MUST_BE, (0.0,))


@dataclass(frozen=True)
class Check:
    """One rule. Its observed number is the count of rows that break it, or the table's own figure."""

    name: str
    kind: CheckKind
    columns: tuple[str, ...]
    expected: str
    requirement: str
    """A sentence for somebody who does not read code."""
    remedy: str
    severity: RuleSeverity = RuleSeverity.BLOCKING
    view: View = View.VALUE
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[object, ...] = ()
    pattern: str | None = None
    missing: tuple[object, ...] = ()
    comparisons: tuple[Comparison, ...] = field(default=(NONE_BROKEN,))
    in_percent: bool = False
    """The comparison is with broken rows in percent of all rows."""
    allowed_percent: float | None = None
    """Of a quarantine: it blocks where more than so many percent of all rows leave by it."""
    rule: str | None = None
    """The name in the catalogue of a rule of our own."""
    scope: Scope = Scope.ROW
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def whole_table(self) -> bool:
        return self.kind in WHOLE_TABLE or self.scope is Scope.TABLE

    @property
    def frame_column(self) -> str:
        """The column of the checked frame that holds this check's view."""
        if self.kind is CheckKind.RULE:
            return f"rule:{self.name}"
        if self.view is View.VALUE:
            return self.columns[0] if self.columns else ""
        if self.view is View.PRESENT:
            return f"{self.columns[0]}:present:{self.name}"
        return f"{self.columns[0]}:{self.view.value}"
