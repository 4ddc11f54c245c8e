"""Scores: whose they are, on which rows, and that they give the figures in the evidence."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.records.evidence import ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.snapshot import Snapshot
from data_contracts.records.verification import Check, FoundFault
from data_contracts.row_salts import NAME, ROW_ID, read_names
from tasks.audit.verify.data import row_ids
from tasks.audit.verify.held import UNREADABLE, Held
from tasks.evidence.redaction import is_as_named, is_redacted
from tasks.evidence.scores import SCORES_FILE, name_column

_ROUNDING = 1e-9

Values = NDArray[np.float64]


def score_faults(held: Held) -> Iterator[FoundFault]:
    for name, record in held.scorings.items():
        yield from _belongs(held, name, record)
        yield from _figures(held, name, record)


def _belongs(held: Held, name: str, record: ScoringEvidence) -> Iterator[FoundFault]:
    file, trained = f"{name}/evidence.json", name.rpartition("/")[0]
    if name.rpartition("/")[2] != record.split:
        yield _fault(file, f"it is of the {record.split} rows, and lies where others belong")
    if held.snapshot is not None and record.snapshot != held.snapshot.digest():
        yield _fault(file, "its rows are of another snapshot")
    training = held.trainings.get(trained)
    if training is not None:
        if record.artifact != training.artifact.digest():
            yield _fault(file, f"another artifact was scored than {trained} trained")
        if record.rung != training.rung:
            yield _fault(file, f"it calls {record.rung} what was trained by {training.rung}")
    elif record.rung != Rung.BASELINE:
        yield _fault(file, f"{trained} trained nothing, and {record.rung} was scored")
    elif held.base is not None:
        own = held.base.identity() if held.baseline is None else held.baseline.artifact.digest()
        if record.artifact != own:
            yield _fault(file, "another base or probe was scored than this run's")


def _figures(held: Held, name: str, record: ScoringEvidence) -> Iterator[FoundFault]:
    file = f"{name}/{SCORES_FILE}"
    path = held.folder / file
    if not path.is_file():
        yield _fault(file, "it is not there")
        return
    try:
        if not is_as_named(path, record.scores, held.digest):
            yield _fault(file, "it is not the file that its evidence names")
        table = pq.read_table(path)
        yield from against_evidence(file, table, record)
        if held.snapshot is not None:
            yield from _against_rows(held, held.snapshot, file, table, record)
    except UNREADABLE as error:
        yield _fault(file, f"it cannot be read as scores: {error}")


def against_evidence(file: str, table: pa.Table, record: ScoringEvidence) -> Iterator[FoundFault]:
    if table.num_rows != record.rows:
        yield _fault(file, f"it holds {table.num_rows} rows, and its evidence says {record.rows}")
    for metric in record.metrics:
        if metric.per_example and metric.name in table.column_names:
            mean = float(np.mean(table[metric.name].to_numpy()))
            if abs(mean - metric.value) > _ROUNDING * max(1.0, abs(mean)):
                yield _fault(
                    file, f"its mean {metric.name} is {mean:.6g}; the evidence says {metric.value:.6g}"
                )
        elif metric.per_example:
            yield _fault(file, f"it has no column {metric.name}, and its evidence has its mean")


def _against_rows(
    held: Held, snapshot: Snapshot, file: str, table: pa.Table, record: ScoringEvidence
) -> Iterator[FoundFault]:
    ids = table["row_id"].to_pylist()
    if not _are_the_rows(held, snapshot, table, record):
        yield _fault(
            file, f"its rows are not the {record.split} rows of the snapshot, each once, in their order"
        )
        return
    if not {"answer", "reference"} <= set(table.column_names):
        return  # the texts were removed
    answers, references = table["answer"].to_pylist(), table["reference"].to_pylist()
    if snapshot.task is Task.CLASSIFICATION:
        labels = _labels(held, snapshot, record)
        if labels is not None and labels != references:
            yield _fault(file, "its references are not the labels of the snapshot")
    for name, computed in _recomputed(snapshot.task, table.column_names).items():
        differ = np.flatnonzero(np.abs(computed(answers, references) - table[name].to_numpy()) > _ROUNDING)
        if len(differ):
            row = ids[int(differ[0])]
            yield _fault(
                file, f"{name} of {len(differ)} rows is not what answer and reference give, first {row}"
            )


def _are_the_rows(held: Held, snapshot: Snapshot, table: pa.Table, record: ScoringEvidence) -> bool:
    """By the names that a redaction leaves, and by the identities where both files still have them."""
    split = snapshot.split(record.split).file
    path = held.folder / "snapshot" / split.path
    names = table[name_column(table.column_names)].to_pylist()
    if names != list(read_names(path).values()):
        return False
    if NAME not in table.column_names or is_redacted(path, split):
        return True
    return tuple(table[ROW_ID].to_pylist()) == row_ids(held, snapshot, record.split)


def _labels(held: Held, snapshot: Snapshot, record: ScoringEvidence) -> list[str] | None:
    path = held.folder / "snapshot" / snapshot.split(record.split).file.path
    if "label" not in pq.read_schema(path).names:
        return None
    labels: list[str] = pq.read_table(path, columns=["label"])["label"].to_pylist()
    return labels


def _recomputed(task: Task, columns: list[str]) -> Mapping[str, Callable[[list[str], list[str]], Values]]:
    """Metrics that answers and references give without a model, by their column."""
    if task is Task.CLASSIFICATION:
        return {"accuracy": _accuracy} if "accuracy" in columns else {}
    if task is not Task.INSTRUCTION:
        return {}
    from tasks.training.metrics import texts

    known = ("exact_match", "normalized_exact_match", "token_f1", "word_error_rate", "character_error_rate")
    return {name: getattr(texts, name) for name in known if name in columns}


def _accuracy(answers: list[str], references: list[str]) -> Values:
    return np.array([given == due for given, due in zip(answers, references, strict=True)], dtype=np.float64)


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.SCORES, where=where, what=what)
