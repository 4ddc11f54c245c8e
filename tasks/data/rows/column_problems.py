"""What is said of a file whose columns do not fit, or fit in a way that nobody asked for."""

import difflib
from collections.abc import Sequence

from data_contracts.errors import Problem
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataForm
from tasks.data.rows.foreign_forms import SHAREGPT_COLUMN

_LISTED = 20
"""Columns named in a message; a file can have thousands."""


def reading_note(
    form: DataForm, mapped: dict[str, str], added: str | None, found: Sequence[str], keep: Sequence[str]
) -> str:
    """Which form was recognised, by what, what is read of it and how to say otherwise."""
    read = [*mapped.values(), *([added] if added else [])]
    how = (
        f"prompt from {mapped['prompt']!r}"
        + (f" and, behind a blank line, {added!r} where it is not empty" if added else "")
        + f", completion from {mapped['completion']!r}"
        if form is DataForm.ALPACA
        else f"messages from {mapped['messages']!r}, whose turns say from and value"
    )
    unread = [name for name in found if name not in read and name not in keep]
    rest = f" Not read: {_listed(unread)}." if unread else ""
    title = {DataForm.ALPACA: "Alpaca", DataForm.SHAREGPT: "ShareGPT"}[form]
    return (
        f"{title} form: {how}, because the columns are {_listed(found)}.{rest} "
        "To read them otherwise, set data.columns."
    )


def ambiguous(touched: Sequence[str], shown: Sequence[DataForm], found: Sequence[str], where: str) -> Problem:
    """For columns in which more than one form shows; lists the choices."""
    words = {
        "prompt_completion": "data.columns.prompt and data.columns.completion, for prompt and completion",
        "messages": "data.columns.messages, for conversations with role and content",
    }
    choices = [*(words[form] for form in touched), *(f"data.form: {form}" for form in shown)]
    return Problem(
        where=where,
        expected="columns of one form",
        found=f"{len(choices)} that fit, in columns {_listed(found)}",
        remedy="say which is meant with one of: " + "; ".join(choices),
    )


def form_of_another_task(form: DataForm, where: str, task: Task) -> Problem:
    what = "columns for a text and a label" if task is Task.CLASSIFICATION else "a column for a text"
    return Problem(
        where=where,
        expected=what,
        found=f"data.form: {form}, which is a form of instruction data",
        remedy="leave data.form unset, or set task: instruction",
    )


def unsaid_sharegpt(name: str, where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"turns with role and content in {name!r}",
        found="turns with from and value",
        remedy=f"set data.form: sharegpt and data.columns.messages: {name}",
    )


def missing_column(field: str, name: str, found: Sequence[str], where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"a column {name!r}",
        found=f"columns {_listed(found)}",
        remedy=f"set data.columns.{field} to the column that holds it{_perhaps(name, found)}",
    )


def not_to_keep(name: str, found: Sequence[str], where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"a column {name!r} to keep",
        found=f"columns {_listed(found)}",
        remedy=f"correct or leave out the name under data.columns.keep{_perhaps(name, found)}",
    )


def _perhaps(name: str, found: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    return f", perhaps {near[0]!r}" if near else ""


def form_problem(touched: Sequence[str], found: Sequence[str], where: str) -> Problem:
    """For columns of both forms of ours, or of none."""
    both = len(touched) > 1
    talks = SHAREGPT_COLUMN in found and not both
    return Problem(
        where=where,
        expected="columns 'prompt' and 'completion', or 'messages'; or rows in Alpaca's form ('instruction', "
        "'output') or ShareGPT's ('conversations' of turns with from and value)",
        found=("both forms" if both else "neither form") + f", in columns {_listed(found)}",
        remedy="set data.columns.messages, or data.columns.prompt and data.columns.completion, to "
        + ("the form that is meant" if both else "the columns that hold them")
        + (f", perhaps data.columns.messages: {SHAREGPT_COLUMN}" if talks else ""),
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(_shortened(name)) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return shown + more or "none"


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."
