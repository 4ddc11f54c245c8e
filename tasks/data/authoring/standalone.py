"""Data and a contract by themselves, without a run: which task they are for, and what was read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings
from tasks.data.checking.contract import Contract, load_contract
from tasks.data.reading.sources import SourceRows, read_rows
from tasks.data.snapshot.summaries import Columns


@dataclass(frozen=True)
class ReadData:
    """Rows, and what was understood about them without being said."""

    rows: SourceRows
    task: Task
    notes: tuple[str, ...]
    """For the user: the form of the columns, and the task where it was not given."""


def load_for(path: Path, task: Task | None) -> dict[Task, Contract]:
    """The contract in ``path`` for each task whose columns it speaks of; for ``task`` alone where given.

    Raises:
        InputError: it suits none; the problems are those for the task that has fewest.
    """
    contracts: dict[Task, Contract] = {}
    faults: list[InputError] = []
    for each in Task if task is None else (task,):
        try:
            contracts[each] = load_contract(path, each)
        except InputError as fault:
            faults.append(fault)
    if not contracts:
        raise min(faults, key=lambda fault: len(fault.problems))
    return contracts


def read_for(data: DataSettings, tasks: tuple[Task, ...]) -> ReadData:
    """The rows, for the one of ``tasks`` whose columns they have.

    Raises:
        InputError: they cannot be read, have the columns of no task, or of more than one.
    """
    read: dict[Task, SourceRows] = {}
    faults: list[InputError] = []
    for task in tasks:
        try:
            read[task] = read_rows(data, task)
        except InputError as fault:
            faults.append(fault)
    if Task.CLASSIFICATION in read:
        # A text beside its label is also a text alone, which nobody who has labels means.
        read.pop(Task.COMPLETION, None)
    if len(read) > 1:
        raise InputError.single(
            data.source,
            expected="the columns of one task",
            found=f"those of {' and '.join(read)}",
            remedy=f"choose with {' or '.join(f'--task {task}' for task in read)}",
        )
    if not read:
        raise InputError(dict.fromkeys(problem for fault in faults for problem in fault.problems))
    ((task, rows),) = read.items()
    notes = list(rows.notes)
    if len(tasks) > 1:
        why = "there is a text and a label" if task is Task.CLASSIFICATION else "the columns fit no other"
        notes.append(f"Task: {task}, because {why}.")
    return ReadData(rows, task, tuple(notes))


def columns_of(rows: SourceRows) -> Iterator[Columns]:
    """The content columns of all rows, some rows at a time."""
    for batch in rows.batches():
        yield {name: column.values() for name, column in batch.columns.items()}
