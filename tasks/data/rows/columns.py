"""Which canonical columns the rows of a task have, and how the user's columns become them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data_contracts.errors import Problem
from data_contracts.records.metrics import Task
from data_contracts.records.settings import OWN_COLUMNS, ColumnSettings, DataForm
from tasks.data.rows.column_problems import (
    ambiguous,
    form_of_another_task,
    form_problem,
    missing_column,
    not_to_keep,
    reading_note,
    unsaid_sharegpt,
)
from tasks.data.rows.foreign_forms import (
    ALPACA_COLUMNS,
    ALPACA_INPUT,
    SHAREGPT_COLUMN,
    alpaca_prompts,
    forms_shown,
    says_from_and_value,
    sharegpt_turns,
)

_OPTIONAL = ("split", "group")
"""Canonical columns that are read where the settings name them."""

_FOREIGN_NAMES: dict[DataForm, dict[str, str]] = {
    DataForm.ALPACA: dict(zip(("prompt", "completion"), ALPACA_COLUMNS, strict=True)),
    DataForm.SHAREGPT: {"messages": SHAREGPT_COLUMN},
}
"""The columns of these forms that stand for ours, where the settings name no others."""


class Form(StrEnum):
    """What one row looks like."""

    CLASSIFICATION = "classification"
    PROMPT_COMPLETION = "prompt_completion"
    MESSAGES = "messages"
    TEXT = "text"
    """Last, because the columns of other forms hold a text too."""


CONTENT_COLUMNS: dict[Form, tuple[str, ...]] = {
    Form.CLASSIFICATION: ("text", "label"),
    Form.PROMPT_COMPLETION: ("prompt", "completion"),
    Form.MESSAGES: ("messages",),
    Form.TEXT: ("text",),
}
"""The columns that make a row what it is; its identity is the digest of these."""

DERIVED_COLUMNS: dict[Form, tuple[str, ...]] = {
    Form.CLASSIFICATION: ("tokens", "supervised_tokens"),
    Form.PROMPT_COMPLETION: ("tokens", "supervised_tokens"),
    Form.MESSAGES: (
        "tokens",
        "supervised_tokens",
        "assistant_turns",
        "turns_well_formed",
        "role_order_ok",
    ),
    Form.TEXT: ("tokens", "supervised_tokens"),
}

_WORDS = frozenset({"text", "prompt", "completion", "messages"})

ONE_TEXT = frozenset({Form.CLASSIFICATION, Form.TEXT})
"""Forms whose rows say one text, which is also what they ask."""
"""Columns computed from the content, so that a contract can speak of them."""


def forms_of(task: Task) -> tuple[Form, ...]:
    if task is Task.CLASSIFICATION:
        return (Form.CLASSIFICATION,)
    if task is Task.COMPLETION:
        return (Form.TEXT,)
    return (Form.PROMPT_COMPLETION, Form.MESSAGES)


def form_of(columns: Sequence[str], task: Task) -> Form:
    """The form whose content columns are all among the canonical ``columns``."""
    return next(form for form in forms_of(task) if set(CONTENT_COLUMNS[form]) <= set(columns))


def text_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Those of accepted rows that hold somebody's words or tell whose they are; a label names a class."""
    return tuple(name for name in columns if name in _WORDS or name == "group_key" or name not in OWN_COLUMNS)


def kept_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Those of a file of ours that ``data.columns.keep`` put there, which cannot have our own names."""
    return tuple(column for column in columns if column not in OWN_COLUMNS)


Values = Callable[[str], Sequence[Any]]
"""The values of one of the user's columns."""


@dataclass(frozen=True)
class ChosenColumns:
    """The user's column for each canonical one, or what stands in the way."""

    form: Form | None
    names: dict[str, str]
    """Canonical name to the user's name."""
    problems: tuple[Problem, ...]
    foreign: DataForm | None = None
    """The form in which the rows are written, where it is not one of ours."""
    added: str | None = None
    """Alpaca's column that goes behind the instruction, where the file has it."""
    note: str = ""
    """How the rows were understood, where that was not said by the settings alone; for the user."""

    def translates(self, name: str) -> bool:
        """Whether the canonical column ``name`` is anything but one of the user's columns as it is."""
        if name == "messages":
            return self.foreign is DataForm.SHAREGPT
        return name == "prompt" and self.added is not None

    def values(self, name: str, read: Values) -> Sequence[Any]:
        """The values of the canonical column ``name``, from those that ``read`` returns of the user's."""
        own = read(self.names[name])
        if not self.translates(name):
            return own
        if self.foreign is DataForm.SHAREGPT:
            return [sharegpt_turns(value) for value in own]
        return alpaca_prompts(own, read(self.added or ""))


def choose_columns(
    found: Sequence[str],
    *,
    settings: ColumnSettings,
    task: Task,
    where: str,
    form: DataForm | None = None,
    head: Values = lambda name: (),
) -> ChosenColumns:
    """Maps the columns ``found`` in one file; every missing one is a problem with its remedy.

    ``head`` returns a column's first few values, by which turns of ShareGPT are known.
    """
    named = {
        name: value for name, value in settings.model_dump(exclude={"keep"}).items() if value is not None
    }
    names = {name: named.get(name, name) for name in ColumnSettings.model_fields if name != "keep"}
    unkept = tuple(not_to_keep(name, found, where) for name in settings.keep if name not in found)
    if form is not None and task is not Task.INSTRUCTION:
        return ChosenColumns(None, {}, (form_of_another_task(form, where, task), *unkept))
    forms = forms_of(task)
    touched = [each for each in forms if any(column in named for column in CONTENT_COLUMNS[each])]
    if form is None and not touched:
        touched = [each for each in forms if any(names[c] in found for c in CONTENT_COLUMNS[each])]
        shown = forms_shown(found, head) if task is Task.INSTRUCTION else ()
        if len(shown) == 1 and not touched:
            form = shown[0]
        elif shown:
            return ChosenColumns(None, {}, (ambiguous(touched, shown, found, where), *unkept))
    recognised = form is not None and not named.keys() & {"prompt", "completion", "messages"}
    if form is not None:
        chosen = Form.MESSAGES if form is DataForm.SHAREGPT else Form.PROMPT_COMPLETION
        names |= {name: named.get(name, own) for name, own in _FOREIGN_NAMES[form].items()}
    elif len(forms) > 1 and len(touched) != 1:
        return ChosenColumns(None, {}, (form_problem(touched, found, where), *unkept))
    else:
        chosen = (touched or list(forms))[0]
    optional = tuple(name for name in names if name in _OPTIONAL and name in named)
    wanted = (*CONTENT_COLUMNS[chosen], *optional)
    mapped = {column: names[column] for column in wanted}
    missing = [
        missing_column(column, names[column], found, where) for column in wanted if names[column] not in found
    ]
    if (
        form is None
        and chosen is Form.MESSAGES
        and says_from_and_value(head_of(mapped["messages"], found, head))
    ):
        missing.append(unsaid_sharegpt(mapped["messages"], where))
    added = ALPACA_INPUT if form is DataForm.ALPACA and ALPACA_INPUT in found else None
    return ChosenColumns(
        chosen,
        mapped,
        (*missing, *unkept),
        foreign=form,
        added=added,
        note=reading_note(form, mapped, added, found, settings.keep)
        if recognised and form is not None
        else "",
    )


def head_of(name: str, found: Sequence[str], head: Values) -> Sequence[Any]:
    """The first values of a column, none where it is absent."""
    return head(name) if name in found else ()
