"""Runs that wait for a person's answer, as their dossiers and the ledger tell it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.decision import Gate, Outcome, RunReport
from data_contracts.records.evidence import RunRequest
from data_contracts.records.settings import RunSettings
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import find_answer, first_asked
from tasks.evidence.dossier import Dossier, list_dossiers
from tasks.evidence.ledger.book import Ledger, ledger_location, open_ledger


@dataclass(frozen=True)
class WaitingRun:
    """One run whose question is open, or has been answered without it having gone on."""

    request: RunRequest
    expires_at: datetime | None
    """From then on there is no answer but a denial; ``None`` where the ledger has no time of the question."""
    answered: bool

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and datetime.now(UTC) > self.expires_at


def waiting_runs(output: Path) -> tuple[WaitingRun, ...]:
    """Those below ``output``, newest first. Dossiers that cannot be read are passed over.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    dossiers = list_dossiers(output)
    if not dossiers:
        return ()
    with open_ledger(ledger_location(output)) as ledger:
        return tuple(_waiting(output, dossiers, ledger))


def comes_too_late(output: Path, dossier: Dossier) -> bool:
    """Whether an answer that is given now to a run that waits is a denial whatever it says.

    Raises:
        ArtifactDamagedError: the dossier cannot be read.
        LedgerError: the ledger cannot be read.
    """
    report = dossier.report()
    if report is None:
        return False
    with open_ledger(ledger_location(output)) as ledger:
        waiting = _waiting_run(output, dossier.request(), report, ledger)
    return waiting.expired


def _waiting(output: Path, dossiers: Iterable[Dossier], ledger: Ledger) -> Iterator[WaitingRun]:
    seen: set[str] = set()
    for dossier in dossiers:
        try:
            request, report = dossier.request(), dossier.report()
        except ArtifactDamagedError:
            continue
        # What has been started again since waits no longer, or waits anew.
        if request.settings_digest not in seen and report and report.outcome is Outcome.AWAITING_APPROVAL:
            yield _waiting_run(output, request, report, ledger)
        seen.add(request.settings_digest)


def _waiting_run(output: Path, request: RunRequest, report: RunReport, ledger: Ledger) -> WaitingRun:
    quality = next(each for each in reversed(report.decisions) if each.gate is Gate.QUALITY)
    subject = subject_of(quality)
    settings = RunSettings.model_validate(request.settings)
    asked = first_asked(ledger, subject)
    allowed = timedelta(days=settings.policy.escalation.approval_expires_days)
    # Whether a signature holds is for the gate to say.
    answer = find_answer(output, subject, ledger, keyring=None)
    return WaitingRun(
        request=request,
        expires_at=None if asked is None else datetime.fromisoformat(asked) + allowed,
        answered=answer.approval is not None,
    )
