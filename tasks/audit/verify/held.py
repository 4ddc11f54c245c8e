"""A dossier as somebody found it: read once, each part for itself, and nothing taken for granted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pydantic import ValidationError

from data_contracts.errors import LorafirstError, one_line
from data_contracts.records.base import Digest, Record, digest_file
from data_contracts.records.bases import DecisionRecord
from data_contracts.records.decision import Decision, RunReport
from data_contracts.records.evidence import (
    BaselineEvidence,
    BaseModelRecord,
    RunRequest,
    ScoringEvidence,
    TrainingEvidence,
)
from data_contracts.records.looks import Registration
from data_contracts.records.manifest import Manifest
from data_contracts.records.permit import Permit
from data_contracts.records.pilots import Approval
from data_contracts.records.policy import Policy
from data_contracts.records.redaction import Redaction
from data_contracts.records.settings import RunSettings
from data_contracts.records.snapshot import ContractEvidence, Snapshot
from data_contracts.records.statements import (
    APPROVAL_PREDICATE,
    DECISION_PREDICATE,
    MANIFEST_PREDICATE,
    PERMIT_PREDICATE,
)
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.cited import CitedEvidence
from tasks.audit.stage_records import FoundStage, read_stages
from tasks.evidence.dossier import APPROVAL, MANIFEST, PERMIT, REGISTRATION, REPORT, REQUEST, Dossier
from tasks.evidence.redaction import REDACTION
from tasks.evidence.signing.payloads import predicate_of, unverified_statement

R = TypeVar("R", bound=Record)

BASE = "base-model.json"
CONTRACT = "contract/evidence.json"
SNAPSHOT = "snapshot/evidence.json"

UNREADABLE = (LorafirstError, ValidationError, OSError, ValueError, KeyError, TypeError, pa.ArrowException)
"""What reading a file that somebody has written to may raise."""


@dataclass(frozen=True)
class HeldDecision:
    """One file of a decision."""

    file: str
    """Inside the dossier."""
    envelope: bytes
    record: DecisionRecord

    @property
    def decision(self) -> Decision:
        return self.record.judgement.decision


@dataclass(frozen=True)
class Held:
    """The parts of a dossier; ``None`` where one is missing or, as ``unreadable`` says, cannot be read."""

    dossier: Dossier
    manifest: Manifest | None
    request: RunRequest | None
    settings: RunSettings | None
    decisions: tuple[HeldDecision, ...]
    registration: Registration | None
    base: BaseModelRecord | None
    contract: ContractEvidence | None
    snapshot: Snapshot | None
    report: RunReport | None
    permit: Permit | None
    approval: Approval | None
    redaction: Redaction | None
    """``None`` where no text was removed."""
    stages: tuple[FoundStage, ...]
    unreadable: tuple[FoundFault, ...]
    cited: CitedEvidence = field(repr=False)
    digest: Callable[[Path], Digest] = field(default_factory=lambda: cache(digest_file), repr=False)
    """Of a file, which is read once however many checks ask: weights may be large."""

    @property
    def folder(self) -> Path:
        return self.dossier.folder

    @property
    def policy(self) -> Policy | None:
        return self.settings.policy if self.settings is not None else None

    @property
    def run_id(self) -> str:
        if self.request is not None:
            return self.request.run_id
        return self.manifest.run_id if self.manifest is not None else self.folder.name

    @cached_property
    def trainings(self) -> dict[str, TrainingEvidence]:
        """By folder."""
        return {s.name: s.record for s in self.stages if isinstance(s.record, TrainingEvidence)}

    @cached_property
    def scorings(self) -> dict[str, ScoringEvidence]:
        """By folder."""
        return {s.name: s.record for s in self.stages if isinstance(s.record, ScoringEvidence)}

    @cached_property
    def baseline(self) -> BaselineEvidence | None:
        found = [s.record for s in self.stages if isinstance(s.record, BaselineEvidence)]
        return found[0] if found else None


def hold(dossier: Dossier) -> Held:
    """Reads what there is."""
    reader = _Reader(dossier)
    request = reader.request()
    stages, broken = read_stages(dossier.folder)
    for file in broken:
        reader.fault(Check.FILES, file, "it cannot be read as the evidence of a stage")
    return Held(
        dossier=dossier,
        manifest=reader.statement(MANIFEST, MANIFEST_PREDICATE, Manifest, Check.FILES),
        request=request,
        settings=reader.settings(request),
        decisions=tuple(reader.decisions()),
        registration=reader.record(REGISTRATION, Registration, Check.QUESTION),
        base=reader.record(BASE, BaseModelRecord, Check.REQUEST),
        contract=reader.record(CONTRACT, ContractEvidence, Check.DATA),
        snapshot=reader.record(SNAPSHOT, Snapshot, Check.DATA),
        report=reader.record(REPORT, RunReport, Check.WAY),
        permit=reader.statement(PERMIT, PERMIT_PREDICATE, Permit, Check.PERMIT),
        approval=reader.statement(APPROVAL, APPROVAL_PREDICATE, Approval, Check.PERMIT),
        redaction=reader.record(REDACTION, Redaction, Check.FILES),
        stages=stages,
        unreadable=tuple(reader.faults),
        cited=CitedEvidence(dossier.folder),
    )


class _Reader:
    """Reads parts, and keeps why one cannot be read."""

    def __init__(self, dossier: Dossier) -> None:
        self.dossier = dossier
        self.faults: list[FoundFault] = []

    def fault(self, check: Check, where: str, what: str) -> None:
        self.faults.append(FoundFault(check=check, where=where, what=what))

    def _read(self, check: Check, where: str, read: Callable[[], R]) -> R | None:
        try:
            return read()
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            self.fault(check, where, f"it cannot be read: {one_line(error)}")
            return None

    def record(self, file: str, kind: type[R], check: Check) -> R | None:
        path = self.dossier.folder / file
        return self._read(check, file, lambda: kind.as_written(path.read_bytes()))

    def statement(self, file: str, predicate: str, kind: type[R], check: Check) -> R | None:
        path = self.dossier.folder / file
        return self._read(
            check, file, lambda: predicate_of(unverified_statement(path.read_bytes()), predicate, kind)
        )

    def request(self) -> RunRequest | None:
        if not (self.dossier.folder / REQUEST).is_file():
            self.fault(Check.REQUEST, REQUEST, "it is not there")
            return None
        return self._read(Check.REQUEST, REQUEST, self.dossier.request)

    def settings(self, request: RunRequest | None) -> RunSettings | None:
        if request is None:
            return None
        return self._read(Check.REQUEST, REQUEST, lambda: RunSettings.as_written(request.settings))

    def decisions(self) -> Iterator[HeldDecision]:
        for path in self.dossier.decision_paths():
            file = f"decisions/{path.name}"
            record = self.statement(file, DECISION_PREDICATE, DecisionRecord, Check.DECISIONS)
            if record is not None:
                yield HeldDecision(file, path.read_bytes(), record)
