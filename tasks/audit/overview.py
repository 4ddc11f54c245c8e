"""What a run was and how it ended, read from its dossier."""

from datetime import UTC, datetime
from pathlib import Path

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import Record
from data_contracts.records.decision import Decision, Outcome, RunReport
from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity
from tasks.audit.signed import signature_note
from tasks.audit.stage_records import read_stages, stage_line
from tasks.evidence.dossier import Dossier, find_dossier, list_dossiers
from tasks.evidence.records import read_record
from tasks.evidence.store import RECORD_FILE

_AT_WORK = "At work now."
_BROKEN_OFF = "Broken off: the same command goes on."


class RunEntry(Record):
    """One line of the list of runs."""

    run_id: str
    outcome: Outcome | None
    """``None`` while the run has not ended."""
    sentence: str
    requested_by: str
    requested_at: datetime
    signed: bool = False
    """Whether every decision has a signature; nobody has checked it."""


class RunView(Record):
    """Everything ``show`` prints."""

    run_id: str
    requested_by: str
    requested_at: datetime
    stages: tuple[str, ...]
    """One line per stage, in the order of its folders."""
    decisions: tuple[Decision, ...]
    report: RunReport | None
    signature: str
    """Whether the decisions are signed, and what that is worth unchecked."""
    dossier: str


def list_runs(output: Path) -> tuple[RunEntry, ...]:
    """Newest first; a dossier that cannot be read is listed as damaged and hides no other."""
    return tuple(_entry(dossier) for dossier in list_dossiers(output))


def read_run(output: Path, run: str) -> RunView:
    """Raises ``InputError`` if there is no such run, ``ArtifactDamagedError`` if it cannot be read."""
    dossier = find_dossier(output, run)
    request = dossier.request()
    return RunView(
        run_id=request.run_id,
        requested_by=request.requested_by,
        requested_at=request.requested_at,
        stages=tuple(_stage_lines(dossier.folder)),
        decisions=dossier.decisions(),
        report=dossier.report(),
        signature=signature_note(dossier),
        dossier=str(dossier.folder.resolve()),
    )


def broken_rules(dossier: Path) -> tuple[ContractRule, ...]:
    """The blocking rules that the data of this run broke."""
    path = dossier / "contract" / RECORD_FILE
    evidence = read_record(path, ContractEvidence, called="contract evidence")
    return tuple(
        rule for rule in evidence.rules if not rule.passed and rule.severity is RuleSeverity.BLOCKING
    )


def _entry(dossier: Dossier) -> RunEntry:
    try:
        request, report = dossier.request(), dossier.report()
    except ArtifactDamagedError:
        return RunEntry(
            run_id=dossier.folder.name,
            outcome=None,
            sentence="Damaged: it cannot be read.",
            requested_by="unknown",
            requested_at=datetime.fromtimestamp(dossier.folder.stat().st_mtime, UTC),
        )
    return RunEntry(
        run_id=request.run_id,
        outcome=report.outcome if report else None,
        sentence=report.sentence if report else (_AT_WORK if dossier.in_use else _BROKEN_OFF),
        requested_by=request.requested_by,
        requested_at=request.requested_at,
        signed=bool(dossier.signed_by()),
    )


def _stage_lines(folder: Path) -> list[str]:
    stages, _ = read_stages(folder)
    return [
        f"{stage.name:<28} {stage_line(stage.record)}, {stage.record.cost.seconds:,.0f} s, "
        f"peak {stage.record.cost.peak_memory_bytes / 2**30:.2f} GiB"
        for stage in sorted(stages, key=lambda stage: (folder / stage.file).stat().st_mtime)
    ]
