"""Why a run ended as it did, each claim with the file of the dossier where it can be checked."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from data_contracts.records.base import Record
from data_contracts.records.decision import Decision, Outcome, RunReport
from data_contracts.records.looks import Registration
from data_contracts.records.settings import RunSettings
from tasks.audit import claims, full_claims
from tasks.audit.claims import Claim
from tasks.audit.signed import signature_note
from tasks.audit.stage_records import read_stages
from tasks.audit.way import Step, the_way
from tasks.evidence.dossier import REGISTRATION, REPORT, REQUEST, Dossier, find_dossier


class Answer(Record):
    """One question that somebody has months later, and what the dossier says."""

    question: str
    claims: tuple[Claim, ...]


class Explanation(Record):
    """One run, for a person who was not there."""

    run_id: str
    name: str
    requested_by: str
    requested_at: datetime
    outcome: Outcome | None
    """``None`` while the run has not ended."""
    sentence: str
    """How it ended and what that means."""
    answers: tuple[Answer, ...]
    """The questions in the order in which people ask them; none without a claim."""
    way: tuple[Step, ...]
    """What was tried and decided, in order."""
    seconds: float | None
    """Of the whole run's last start; ``None`` while it has not ended."""
    peak_memory_bytes: int | None
    signature: str
    """Whether the decisions are signed, and what that is worth unchecked."""
    unreadable: tuple[str, ...]
    """Files that should tell more and cannot be read."""


def explain_run(output: Path, run: str) -> Explanation:
    """The explanation of the run named ``run``.

    Raises:
        InputError: there is no such run, or several.
        ArtifactDamagedError: its request, report or a decision cannot be read.
    """
    dossier = find_dossier(output, run)
    return explain_dossier(dossier, dossier.report())


def explain_dossier(dossier: Dossier, report: RunReport | None) -> Explanation:
    """The explanation of ``dossier``, whose ``report`` need not lie in it yet.

    Raises:
        ArtifactDamagedError: its request or a decision cannot be read.
    """
    request, decisions = dossier.request(), dossier.decisions()
    files = tuple(f"decisions/{path.name}" for path in dossier.decision_paths())
    stages, unreadable = read_stages(dossier.folder)
    settings = _settings(request.settings)
    registration, faults = _registration(dossier.folder / REGISTRATION)
    policy = settings.policy if settings is not None else None
    way = the_way(decisions, files, stages, policy)
    cited = tuple(zip(decisions, files, strict=True))
    ended = REPORT if report is not None else REQUEST
    told = [
        ("What was asked?", claims.asked(request, settings, registration)),
        ("What fell short, and by how much?", claims.fell_short(way, ended)),
        ("Which remedies were spent?", claims.remedies(cited, stages, ended)),
        (
            "What did full fine-tuning cost?",
            full_claims.full_cost(cited, stages, unreadable, settings, ended),
        ),
        ("Who allowed it, and why?", full_claims.permission(cited, dossier.folder, ended)),
        ("What did it bring over the pilot?", full_claims.gain(way, ended)),
        ("What is there to use?", full_claims.kept(report)),
    ]
    return Explanation(
        run_id=request.run_id,
        name=str(request.settings.get("name", "")),
        requested_by=request.requested_by,
        requested_at=request.requested_at,
        outcome=report.outcome if report is not None else None,
        sentence=report.sentence if report is not None else _unfinished(decisions),
        answers=tuple(Answer(question=question, claims=tuple(made)) for question, made in told),
        way=way,
        seconds=report.seconds if report is not None else None,
        peak_memory_bytes=report.peak_memory_bytes if report is not None else None,
        signature=signature_note(dossier),
        unreadable=(*((REQUEST,) if settings is None else ()), *faults, *unreadable),
    )


def _unfinished(decisions: Sequence[Decision]) -> str:
    last = f"its last decision was that of the {decisions[-1].gate.value} gate" if decisions else ""
    return (
        f"The run has not ended: {last or 'nothing has been decided yet'}. What follows is what it had done "
        "so far; started again with the same command it goes on."
    )


def _settings(content: dict[str, object]) -> RunSettings | None:
    """``None`` where another version made them, so that the rest can still be told."""
    try:
        return RunSettings.as_written(content)
    except ValidationError:
        return None


def _registration(path: Path) -> tuple[Registration | None, tuple[str, ...]]:
    """What had been registered, if anything; and the file's name where it cannot be read."""
    if not path.is_file():
        return None, ()
    try:
        return Registration.as_written(path.read_bytes()), ()
    except (OSError, ValidationError):
        return None, (path.name,)
