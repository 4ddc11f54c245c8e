"""Which canonical columns the rows of a task have, and how the user's columns become them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from data_contracts.errors import Problem
from data_contracts.records.metrics import Task
from data_contracts.records.settings import OWN_COLUMNS, ColumnSettings


class Form(StrEnum):
    """What one row looks like."""

    CLASSIFICATION = "classification"
    PROMPT_COMPLETION = "prompt_completion"
    MESSAGES = "messages"


CONTENT_COLUMNS: dict[Form, tuple[str, ...]] = {
    Form.CLASSIFICATION: ("text", "label"),
    Form.PROMPT_COMPLETION: ("prompt", "completion"),
    Form.MESSAGES: ("messages",),
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
}
"""Columns computed from the content, so that a contract can speak of them."""


def forms_of(task: Task) -> tuple[Form, ...]:
    if task is Task.CLASSIFICATION:
        return (Form.CLASSIFICATION,)
    return (Form.PROMPT_COMPLETION, Form.MESSAGES)


def form_of(columns: Sequence[str], task: Task) -> Form:
    """The form whose content columns are all among the canonical ``columns``."""
    return next(form for form in forms_of(task) if set(CONTENT_COLUMNS[form]) <= set(columns))


def kept_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Those of a file of ours that ``data.columns.keep`` put there, which cannot have our own names."""
    return tuple(column for column in columns if column not in OWN_COLUMNS)


@dataclass(frozen=True)
class ChosenColumns:
    """The user's column for each canonical one, or what stands in the way."""

    form: Form | None
    names: dict[str, str]
    """Canonical name to the user's name."""
    problems: tuple[Problem, ...]


def choose_columns(
    found: Sequence[str], *, settings: ColumnSettings, task: Task, where: str
) -> ChosenColumns:
    """Maps the columns ``found`` in one file; every missing one is a problem with its remedy."""
    named = {
        name: value for name, value in settings.model_dump(exclude={"keep"}).items() if value is not None
    }
    names = {name: named.get(name, name) for name in ColumnSettings.model_fields if name != "keep"}
    unkept = tuple(_not_to_keep(name, found, where) for name in settings.keep if name not in found)
    forms = forms_of(task)
    touched = [form for form in forms if any(column in named for column in CONTENT_COLUMNS[form])]
    if not touched:
        touched = [form for form in forms if any(names[c] in found for c in CONTENT_COLUMNS[form])]
    if len(forms) > 1 and len(touched) != 1:
        return ChosenColumns(None, {}, (_form_problem(touched, found, where), *unkept))
    form = (touched or list(forms))[0]
    extra = tuple(name for name in ("split", "group") if name in named)
    wanted = CONTENT_COLUMNS[form] + extra
    missing = [column for column in wanted if names[column] not in found]
    return ChosenColumns(
        form,
        {column: names[column] for column in wanted},
        (*(_missing(column, names[column], found, where) for column in missing), *unkept),
    )


def _missing(field: str, name: str, found: Sequence[str], where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"a column {name!r}",
        found=f"columns {_listed(found)}",
        remedy=f"set data.columns.{field} to the column that holds it{_perhaps(name, found)}",
    )


def _not_to_keep(name: str, found: Sequence[str], where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"a column {name!r} to keep",
        found=f"columns {_listed(found)}",
        remedy=f"correct or leave out the name under data.columns.keep{_perhaps(name, found)}",
    )


def _perhaps(name: str, found: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    return f", perhaps {near[0]!r}" if near else ""


def _form_problem(touched: Sequence[Form], found: Sequence[str], where: str) -> Problem:
    both = len(touched) > 1
    return Problem(
        where=where,
        expected="either columns 'prompt' and 'completion', or a column 'messages'",
        found=("both forms" if both else "neither form") + f", in columns {_listed(found)}",
        remedy="set data.columns.messages, or data.columns.prompt and data.columns.completion, to "
        + ("the form that is meant" if both else "the columns that hold them"),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
