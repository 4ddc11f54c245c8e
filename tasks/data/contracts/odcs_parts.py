"""What the readers of an ODCS document share: checks with problems, severities, comparisons."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from open_data_contract_standard.model import CustomProperty, DataQuality

from data_contracts.errors import Problem
from data_contracts.records.snapshot import RuleSeverity
from tasks.data.contracts.checks import Check, Comparison, Operator

SEVERITY_PROPERTY = "lorafirst.severity"
"""The custom property that says what a broken rule does: blocking, quarantine or warning."""

ALLOWED_PROPERTY = "lorafirst.allowedPercent"
"""Of a quarantine: it blocks where more than so many percent of all rows leave by it."""

SEVERITIES = {"error": RuleSeverity.BLOCKING, "warning": RuleSeverity.WARNING}
"""ODCS's own ``severity`` of a quality entry."""

_UNITS = (None, "rows", "percent")


@dataclass(frozen=True)
class Translation:
    """Checks, and what of the document could not become one."""

    checks: tuple[Check, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Consequence:
    """What a broken rule does; unset where the document does not say."""

    severity: RuleSeverity | None = None
    allowed_percent: float | None = None

    def over(self, default: "Consequence") -> "Consequence":
        """This, with what it leaves unset taken from ``default``."""
        if self.severity is None:
            allowed = default.allowed_percent if self.allowed_percent is None else self.allowed_percent
            return Consequence(default.severity, allowed)
        return self


@dataclass
class Refusals:
    """Collects problems under one place."""

    where: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, key: str, *, expected: str, found: object, remedy: str) -> None:
        place = f"{self.where}.{key}" if key else self.where
        self.problems.append(Problem(where=place, expected=expected, found=str(found), remedy=remedy))


def consequence_of(
    custom: Sequence[CustomProperty] | None, refusals: Refusals, *, severity: RuleSeverity | None = None
) -> Consequence:
    """What the custom properties say; ``severity`` is what ODCS's own key says."""
    allowed: float | None = None
    for entry in custom or ():
        if entry.property == SEVERITY_PROPERTY:
            severity = _severity(entry, severity, refusals)
        elif entry.property == ALLOWED_PROPERTY:
            allowed = _percent(entry, refusals)
        elif str(entry.property).startswith("lorafirst."):
            _refuse_property(entry, refusals)
    if allowed is not None and severity not in {None, RuleSeverity.QUARANTINE}:
        refusals.add(
            f"customProperties.{ALLOWED_PROPERTY}",
            expected=f"{SEVERITY_PROPERTY}: quarantine beside it",
            found=f"severity {severity}",
            remedy="only a quarantine has an allowed share; remove it, or change the severity",
        )
    return Consequence(severity, allowed)


def comparisons_of(quality: DataQuality, refusals: Refusals) -> tuple[Comparison, ...]:
    """The comparisons of a quality entry, none if it has none."""
    if quality.unit not in _UNITS:
        refusals.add("unit", expected="rows or percent", found=repr(quality.unit), remedy="choose one")
    comparisons = []
    for operator in Operator:
        value = getattr(quality, operator.value)
        if value is None:
            continue
        bounds = value if isinstance(value, list) else [value]
        if all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds):
            comparisons.append(Comparison(operator, tuple(float(bound) for bound in bounds)))
        else:
            refusals.add(operator.value, expected="a number", found=repr(value), remedy="write a number")
    return tuple(comparisons)


def severity_key(quality: DataQuality, refusals: Refusals) -> RuleSeverity | None:
    """What ODCS's own ``severity`` of the entry says."""
    if quality.severity not in {None, *SEVERITIES}:
        refusals.add(
            "severity",
            expected=", ".join(SEVERITIES),
            found=repr(quality.severity),
            remedy=f"choose one, or set the custom property {SEVERITY_PROPERTY}",
        )
    return SEVERITIES.get(quality.severity or "")


def nearest(name: object, known: Sequence[str], otherwise: str) -> str:
    """A remedy for a name that is none of ``known``."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def _severity(entry: CustomProperty, default: RuleSeverity | None, refusals: Refusals) -> RuleSeverity | None:
    if entry.value in set(RuleSeverity):
        return RuleSeverity(entry.value)
    refusals.add(
        f"customProperties.{SEVERITY_PROPERTY}",
        expected=", ".join(RuleSeverity),
        found=repr(entry.value),
        remedy="choose one of these",
    )
    return default


def _percent(entry: CustomProperty, refusals: Refusals) -> float | None:
    value = entry.value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:
        return float(value)
    refusals.add(
        f"customProperties.{ALLOWED_PROPERTY}",
        expected="a number from 0 to 100",
        found=repr(value),
        remedy="write the percentage of rows that may leave by this rule",
    )
    return None


def _refuse_property(entry: CustomProperty, refusals: Refusals) -> None:
    known = (SEVERITY_PROPERTY, ALLOWED_PROPERTY)
    refusals.add(
        f"customProperties.{entry.property}",
        expected=", ".join(known),
        found=repr(entry.property),
        remedy=nearest(entry.property, known, "remove it"),
    )
