"""What a dossier says of the artifact that its run accepted."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.decision import Decision, Interval, RunReport
from data_contracts.records.evidence import BaseModelRecord, ScoringEvidence, TrainingEvidence
from data_contracts.records.settings import RunSettings
from data_contracts.records.snapshot import ContractEvidence, Snapshot
from tasks.decisions.gates.rules import LEVEL
from tasks.evidence.dossier import PERMIT, Dossier
from tasks.evidence.records import read_record
from tasks.evidence.signing.payloads import key_ids
from tasks.evidence.store import RECORD_FILE


@dataclass(frozen=True)
class Accepted:
    """One accepted artifact with everything that led to it."""

    report: RunReport
    artifact: str
    """Its folder inside the dossier."""
    settings: RunSettings
    base: BaseModelRecord
    contract: ContractEvidence
    snapshot: Snapshot
    training: TrainingEvidence
    scoring: ScoringEvidence
    """On the rows of the last look."""
    permit_is_signed: bool = False
    """Whether anybody signed the permit under which base weights were updated, where they were."""

    @property
    def judged(self) -> Decision:
        """The last decision that looked at rows which only gates touch."""
        return next(each for each in reversed(self.report.decisions) if each.look is not None)

    @property
    def level(self) -> Interval | None:
        """Of the policy's metric, over as many seeds as were judged."""
        return next((rule.interval for rule in self.judged.rules if rule.name == LEVEL), None)


def read_accepted(dossier: Dossier, report: RunReport) -> Accepted | None:
    """``None`` where nothing is offered.

    Raises:
        ArtifactDamagedError: something that led to it is not there, or cannot be read.
    """
    if report.accepted_artifact is None:
        return None
    folder = report.accepted_artifact.rpartition("/")[0]
    look = next((each.look for each in reversed(report.decisions) if each.look is not None), None)
    try:
        settings = RunSettings.as_written(dossier.request().settings)
    except ValidationError as error:
        raise ArtifactDamagedError(f"{dossier.folder}: its settings cannot be read: {error}") from error
    return Accepted(
        report=report,
        artifact=report.accepted_artifact,
        settings=settings,
        base=read_record(dossier.folder / "base-model.json", BaseModelRecord),
        contract=read_record(dossier.folder / "contract" / RECORD_FILE, ContractEvidence),
        snapshot=read_record(dossier.folder / "snapshot" / RECORD_FILE, Snapshot),
        training=read_record(dossier.folder / folder / RECORD_FILE, TrainingEvidence),
        scoring=read_record(dossier.folder / folder / str(look) / RECORD_FILE, ScoringEvidence),
        permit_is_signed=_is_signed(dossier.folder / folder / PERMIT),
    )


def _is_signed(envelope: Path) -> bool:
    return envelope.is_file() and bool(key_ids(envelope.read_bytes()))
