"""Per-example scores as parquet: one row per example, a column per metric, and the answer."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ArtifactDamagedError

SCORES_FILE = "scores.parquet"


@dataclass(frozen=True)
class ScoreColumn:
    """One metric of one scoring, with the rows it belongs to."""

    row_ids: tuple[str, ...]
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
    scores: Mapping[str, NDArray[np.float64]],
    answers: Sequence[str],
    references: Sequence[str],
    details: Mapping[str, NDArray[np.float64]],
) -> Path:
    """Writes ``folder/scores.parquet`` and returns its path. ``details`` are columns beside the scores."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "row_id": pa.array(row_ids, pa.string()),
            **{name: pa.array(values, pa.float64()) for name, values in {**scores, **details}.items()},
            "answer": pa.array(answers, pa.string()),
            "reference": pa.array(references, pa.string()),
        }
    )
    path = folder / SCORES_FILE
    temporary = folder / f".{SCORES_FILE}"
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, path)
    return path


def read_scores(folder: Path, metric: str) -> ScoreColumn:
    """The column ``metric`` of ``folder/scores.parquet``."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / SCORES_FILE, columns=["row_id", metric])
    return ScoreColumn(
        row_ids=tuple(table["row_id"].to_pylist()),
        values=np.asarray(table[metric].to_numpy(), dtype=np.float64),
    )


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
