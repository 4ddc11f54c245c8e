"""Evidence of a dossier, found by the digest that a decision names it by."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from data_contracts.errors import ArtifactDamagedError, PairingError
from data_contracts.records.base import Record, digest_file
from data_contracts.records.bases import ScoredBasis
from data_contracts.records.evidence import GeneralLosses
from data_contracts.records.lm_eval import LmEvalScores
from tasks.decisions.gates import ScoredRows
from tasks.evidence.records import read_record
from tasks.evidence.scores import read_scores
from tasks.evidence.store import RECORD_FILE

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class CitedEvidence:
    """The evidence files below a dossier, as they are when they are first asked for."""

    dossier: Path
    _folders: dict[str, Path] = field(default_factory=dict)

    def folder(self, digest: str) -> Path:
        """The folder whose evidence has ``digest``.

        Raises:
            ArtifactDamagedError: there is none.
        """
        if digest not in self._folders:
            # A canonical file's digest is that of its record; and a stage may have been added.
            found = {digest_file(path): path.parent for path in sorted(self.dossier.rglob(RECORD_FILE))}
            self._folders.update(found)
        try:
            return self._folders[digest]
        except KeyError:
            raise ArtifactDamagedError(
                f"{self.dossier} holds no evidence with the digest {digest}, which a decision names"
            ) from None

    def record(self, digest: str, kind: type[R]) -> R:
        """Raises ``ArtifactDamagedError`` if it is not there, or not of this kind."""
        return read_record(self.folder(digest) / RECORD_FILE, kind)

    def scored(self, basis: ScoredBasis, metric: str) -> ScoredRows:
        """The per-example scores that a gate was given, one line a seed.

        Raises:
            ArtifactDamagedError: something is missing or cannot be read.
            PairingError: the seeds were scored on different rows.
        """
        columns = [read_scores(self.folder(digest), metric) for digest in basis.evidence]
        # Rows of a split lie in the order of their identities, in every file.
        if any(column.row_ids != columns[0].row_ids for column in columns):
            raise PairingError("the seeds of one rung were scored on different rows")
        return ScoredRows(
            name=basis.name,
            row_ids=columns[0].row_ids,
            scores=np.stack([column.values for column in columns]),
            evidence=basis.evidence,
        )

    def general_losses(self, name: str, digests: tuple[str, ...]) -> ScoredRows:
        """Losses on the general text, in nats a token; its lines are named by their numbers."""
        losses = np.array([self.record(digest, GeneralLosses).nats_per_token for digest in digests])
        lines = tuple(f"line {number}" for number in range(1, losses.shape[1] + 1))
        return ScoredRows(name=name, row_ids=lines, scores=losses, evidence=digests)

    def task_scores(self, name: str, digests: tuple[str, ...]) -> ScoredRows:
        """Scores on a task of lm-eval."""
        found = [self.record(digest, LmEvalScores) for digest in digests]
        values = np.array([each.values for each in found])
        return ScoredRows(name=name, row_ids=found[0].row_ids, scores=values, evidence=digests)
