"""Per-example scores as parquet: one row per example, a column per metric, and the answer.

Answers and references are somebody's words unless they are labels; then they are committed to with salts of
their own, and can be removed. A row's name is that of the snapshot, so that the rows of both files still
belong together when the texts of both are gone.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ArtifactDamagedError
from data_contracts.kept_tables import table_file
from data_contracts.records.tables import TableFile
from data_contracts.row_salts import NAME, ROW_ID, salted

SCORES_FILE = "scores.parquet"
TEXTS = ("answer", "reference")


@dataclass(frozen=True)
class ScoreColumn:
    """One metric of one scoring, with the rows it belongs to."""

    row_ids: tuple[str, ...]
    """Their names in the snapshot, which are the same before and after a redaction."""
    values: NDArray[np.float64]  # (rows,)


@dataclass(frozen=True)
class AnswerColumn:
    """What one scoring's artifact answered."""

    row_ids: tuple[str, ...]
    answers: tuple[str, ...]


def write_scores(
    folder: Path,
    *,
    row_ids: Sequence[str],
    names: Mapping[str, str],
    scores: Mapping[str, NDArray[np.float64]],
    answers: Sequence[str],
    references: Sequence[str],
    details: Mapping[str, NDArray[np.float64]],
    labels: bool,
) -> TableFile:
    """Writes ``folder/scores.parquet`` and returns its record.

    Args:
        names: the name of each row in the snapshot, by its identity.
        details: columns beside the scores.
        labels: answers and references are labels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = () if labels else TEXTS
    table = pa.table(
        {
            ROW_ID: pa.array(row_ids, pa.string()),
            **{name: pa.array(values, pa.float64()) for name, values in {**scores, **details}.items()},
            "answer": pa.array(answers, pa.string()),
            "reference": pa.array(references, pa.string()),
            NAME: pa.array([names[row_id] for row_id in row_ids], pa.string()),
        }
    )
    path = folder / SCORES_FILE
    temporary = folder / f".{SCORES_FILE}"
    pq.write_table(salted(table, texts) if texts else table, temporary, compression="zstd")
    os.replace(temporary, path)
    return table_file(path, texts)


def read_scores(folder: Path, metric: str) -> ScoreColumn:
    """The column ``metric`` of ``folder/scores.parquet``."""
    import pyarrow.parquet as pq

    path = folder / SCORES_FILE
    name = name_column(pq.read_schema(path).names)
    table = pq.read_table(path, columns=[name, metric])
    return ScoreColumn(
        row_ids=tuple(table[name].to_pylist()),
        values=np.asarray(table[metric].to_numpy(), dtype=np.float64),
    )


def name_column(names: Sequence[str]) -> str:
    """Which of a file's columns holds the rows' names; without texts it is that of the identities."""
    return NAME if NAME in names else ROW_ID


def read_answers(folder: Path) -> AnswerColumn:
    """The answers in ``folder/scores.parquet``."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / SCORES_FILE, columns=["row_id", "answer"])
    return AnswerColumn(
        row_ids=tuple(table["row_id"].to_pylist()), answers=tuple(table["answer"].to_pylist())
    )


def read_table(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``folder/scores.parquet``: identity, scores, what lies beside them, answer, reference.

    Raises:
        ArtifactDamagedError: it is not there, or is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        lines: list[dict[str, Any]] = pq.read_table(folder / SCORES_FILE).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ArtifactDamagedError(f"{folder / SCORES_FILE} cannot be read: {error}") from error
    return lines
