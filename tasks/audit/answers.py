"""What a scored artifact answered, row by row, read from a dossier."""

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError, InputError
from data_contracts.records.base import Record
from data_contracts.records.metrics import METRICS, Metric
from data_contracts.records.settings import RunSettings
from data_contracts.records.snapshot import Snapshot, Split
from data_contracts.row_salts import COMMITMENT, NAME, SALT
from tasks.data.rows.slices import read_slice_columns
from tasks.evidence.dossier import Dossier, find_dossier
from tasks.evidence.redaction import read_redaction
from tasks.evidence.scores import SCORES_FILE, read_table
from tasks.evidence.store import RECORD_FILE


class Order(StrEnum):
    """Which rows to read."""

    WORST = "worst"
    BEST = "best"
    RANDOM = "random"
    """The same ones each time."""


class AnsweredRow(Record):
    """One row: what was asked, what was answered, and how it scored."""

    row_id: str
    question: str
    reference: str
    answer: str
    scores: dict[str, float | None]
    """``None`` where a score is no number."""


class Answers(Record):
    """Rows of one scoring."""

    run_id: str
    scored: str
    """The folder of the dossier: whose answers these are."""
    split: Split
    metric: str
    """What the rows are ordered by."""
    order: Order
    rows_in_all: int
    rows: tuple[AnsweredRow, ...]


def read_answers_of(
    output: Path,
    run: str,
    *,
    split: Split,
    count: int,
    order: Order,
    metric: str | None = None,
    scored: str | None = None,
) -> Answers:
    """``count`` rows of the scoring in the folder ``scored``, or of the last one on ``split``.

    ``metric`` is the policy's where it is ``None``. Rows with one score stand in the order of their ids.

    Raises:
        InputError: no such run, no such scoring, or no such metric in it.
        ArtifactDamagedError: something of the dossier cannot be read.
    """
    dossier = find_dossier(output, run)
    _require_texts(dossier)
    folder = _scoring(dossier, split, scored)
    settings = _settings(dossier)
    table = read_table(folder)
    measure = _metric(metric or settings.policy.metric, settings, table)
    questions = _questions(dossier, split)
    rows = [
        AnsweredRow(
            row_id=line["row_id"],
            question=questions.get(line["row_id"], ""),
            reference=line["reference"],
            answer=line["answer"],
            scores={name: _number(line[name]) for name in line if name not in _TEXTS},
        )
        for line in table
    ]
    return Answers(
        run_id=dossier.folder.name,
        scored=folder.parent.relative_to(dossier.folder).as_posix(),
        split=split,
        metric=measure.name,
        order=order,
        rows_in_all=len(rows),
        rows=tuple(_chosen(rows, measure, order, count)),
    )


_TEXTS = frozenset({"row_id", "answer", "reference", SALT, COMMITMENT, NAME})


def _require_texts(dossier: Dossier) -> None:
    redaction = read_redaction(dossier)
    if redaction is not None:
        raise InputError.single(
            str(dossier.folder),
            expected="a dossier that holds its texts",
            found=f"one whose texts {redaction.redacted_by} removed at {redaction.redacted_at[:19]}Z: "
            f"{redaction.reason}",
            remedy="`lorafirst show` and `lorafirst explain` tell what is left",
        )


def _chosen(rows: Sequence[AnsweredRow], metric: Metric, order: Order, count: int) -> list[AnsweredRow]:
    by_id = sorted(rows, key=lambda row: row.row_id)
    if order is Order.RANDOM:
        return random.Random(0).sample(by_id, min(count, len(by_id)))  # noqa: S311 - which rows to read

    def gain(row: AnsweredRow) -> float:
        value = row.scores[metric.name]
        return float("-inf") if value is None else metric.gain(value)

    return sorted(by_id, key=gain, reverse=order is Order.BEST)[:count]


def _scoring(dossier: Dossier, split: Split, scored: str | None) -> Path:
    found = sorted(
        (path.parent for path in dossier.folder.glob(f"*/{split.value}/{SCORES_FILE}")),
        key=lambda folder: (folder / SCORES_FILE).stat().st_mtime,
    )
    names = [folder.parent.name for folder in found]
    if found and (scored is None or scored in names):
        return found[-1] if scored is None else found[names.index(scored)]
    raise InputError.single(
        f"{dossier.folder}, answers of {scored or 'any model'} on {split.value}",
        expected=f"one of {', '.join(names)}" if names else "a run that has scored these rows",
        found="not among them" if names else "no scores",
        remedy="name one of these with --of" if names else "choose another --split, or let the run go on",
    )


def _settings(dossier: Dossier) -> RunSettings:
    try:
        return RunSettings.as_written(dossier.request().settings)
    except ValidationError as error:
        raise ArtifactDamagedError(
            f"{dossier.folder} was made by another version: its settings cannot be read: {error}"
        ) from error


def _metric(name: str, settings: RunSettings, table: Sequence[Mapping[str, object]]) -> Metric:
    own = {each.name: each.metric() for each in settings.scoring.custom}
    known = {**METRICS, **own}
    offered = [column for column in (table[0] if table else {}) if column in known]
    if name in offered:
        return known[name]
    raise InputError.single(
        "--metric",
        expected=f"one of {', '.join(offered)}",
        found=name,
        remedy="name a metric that was computed for each row",
    )


def _questions(dossier: Dossier, split: Split) -> dict[str, str]:
    folder = dossier.folder / "snapshot"
    try:
        snapshot = Snapshot.as_written((folder / RECORD_FILE).read_bytes())
        columns = read_slice_columns(folder, snapshot.split(split), snapshot.task)
    except (OSError, ValidationError) as error:
        raise ArtifactDamagedError(f"{folder} cannot be read as a snapshot: {error}") from error
    return dict(zip(columns.row_ids, columns.texts["question"], strict=True))


def _number(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
