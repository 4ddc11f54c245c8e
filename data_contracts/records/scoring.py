"""Scores beyond lorafirst's own: a function of the user's, and modules of ``evaluate``.

Nothing here is downloaded that the settings do not name. An import path is code that the user has
installed; ``hub:NAME`` is code that is fetched from a hub and run.
"""

import re
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from data_contracts.records.base import Record
from data_contracts.records.metrics import METRICS, REPORTED, Metric, Task
from data_contracts.row_salts import COMMITMENT, NAME, SALT

ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]

TAKEN = frozenset(
    {
        *METRICS,
        *REPORTED,
        *("row_id", "answer", "reference", "right_label_probability", "top_label_probability"),
        *(SALT, COMMITMENT, NAME),
    }
)
"""Names that figures and columns of a scoring already have."""

HUB = "hub:"


class CustomMetric(Record):
    """A metric of the user's own: a function of answers and references, with a value for each row."""

    name: ColumnName
    """What ``policy.metric``, decisions and score files call it."""
    function: str = Field(examples=["my_package.scores:politeness"])
    """``package.module:function``, importable where the run takes place. Called as
    ``function(answers, references)``, or with a third argument ``rows`` (the snapshot's rows as mappings)
    where it has a parameter of that name; returns one number a row."""
    higher_is_better: bool
    """Whether more of it is better."""
    minimum: float = 0.0
    """No row scores less."""
    maximum: float | None = None
    """No row scores more; unset: it has no upper end."""
    binary: bool = False
    """Each row scores exactly 0 or 1."""

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in TAKEN:
            raise ValueError(f"{name!r} is a name of lorafirst's own; choose another")
        return name

    @field_validator("function")
    @classmethod
    def _is_an_import_path(cls, function: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", function):
            raise ValueError("it takes package.module:function, as in my_package.scores:politeness")
        return function

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.maximum is not None and self.maximum <= self.minimum:
            raise ValueError(f"maximum {self.maximum:g} must be above minimum {self.minimum:g}")
        if self.binary and (self.minimum, self.maximum) != (0.0, 1.0):
            raise ValueError("a binary metric needs minimum 0 and maximum 1")
        return self

    def metric(self) -> Metric:
        """What the gates need to know of it."""
        return Metric(
            name=self.name,
            tasks=(Task.CLASSIFICATION, Task.INSTRUCTION),
            higher_is_better=self.higher_is_better,
            minimum=self.minimum,
            maximum=self.maximum,
            binary=self.binary,
            sentence=f"the mean of {self.function}",
        )


class ReportedModule(Record):
    """A module of ``evaluate`` whose figures are reported beside the scores; no gate decides on them."""

    module: str = Field(examples=["hub:bertscore", "metrics/politeness.py"])
    """``hub:NAME`` (of Hugging Face, or ``hub:OWNER/NAME@REVISION`` of somebody else, whose revision must be
    said), which is downloaded code; or a local script with a subclass of ``evaluate.Metric``."""
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Passed to its ``compute``: ``lang: en``."""

    @field_validator("module")
    @classmethod
    def _names_a_place(cls, module: str) -> str:
        if not re.fullmatch(r"hub:[\w.-]+(@[\w.-]+)?|hub:[\w.-]+/[\w.-]+@[\w.-]+|[^:]+\.py", module):
            raise ValueError("it takes hub:NAME, hub:OWNER/NAME@REVISION, or the path of a .py script")
        return module

    @property
    def name(self) -> str:
        """Begins the names of its figures."""
        last = self.module.removeprefix(HUB).partition("@")[0].rpartition("/")[2]
        return last.removesuffix(".py").lower().replace("-", "_").replace(".", "_")


class ScoringSettings(Record):
    """What is computed on every scored split beside lorafirst's own metrics."""

    custom: tuple[CustomMetric, ...] = ()
    """Metrics of your own, by import path; ``policy.metric`` may name one."""
    report: tuple[ReportedModule, ...] = ()
    """Modules of ``evaluate``, from a hub or a local script. They get answers and references (of a
    classifier the labels' numbers)."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        names = [*(each.name for each in self.custom), *(each.name for each in self.report)]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"scoring names {', '.join(repeated)} twice")
        return self
