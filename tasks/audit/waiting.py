"""Runs that wait for a person's answer, as their dossiers and the ledger tell it."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError, one_line
from data_contracts.records.base import Digest
from data_contracts.records.decision import Gate, Outcome, RunReport
from data_contracts.records.evidence import RunRequest
from data_contracts.records.settings import RunSettings
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import find_answer, first_asked
from tasks.evidence.dossier import Dossier, list_dossiers
from tasks.evidence.ledger.book import Ledger, ledger_location, open_ledger

_log = logging.getLogger(__name__)

Tell = Callable[[str], object]
"""Is told in a sentence which dossier was passed over, and why."""


@dataclass(frozen=True)
class WaitingRun:
    """One run whose question is open, or has been answered without it having gone on."""

    request: RunRequest
    expires_at: datetime | None
    """From then on there is no answer but a denial; ``None`` where the ledger has no time of the question."""
    answer: Digest | None
    """Of the answer that counts; ``None`` where nobody has given one."""

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and datetime.now(UTC) > self.expires_at


def waiting_runs(output: Path, passed_over: Tell = _log.warning) -> tuple[WaitingRun, ...]:
    """Those below ``output``, newest first. Dossiers that cannot be read are told to ``passed_over``.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    dossiers = list_dossiers(output)
    if not dossiers:
        return ()
    with open_ledger(ledger_location(output)) as ledger:
        return tuple(_waiting(output, dossiers, ledger, passed_over))


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


def _waiting(
    output: Path, dossiers: Iterable[Dossier], ledger: Ledger, passed_over: Tell
) -> Iterator[WaitingRun]:
    seen: set[str] = set()
    for dossier in dossiers:
        try:
            request, report = dossier.request(), dossier.report()
            # What has been started again since waits no longer, or waits anew.
            first = request.settings_digest not in seen
            seen.add(request.settings_digest)
            if first and report and report.outcome is Outcome.AWAITING_APPROVAL:
                yield _waiting_run(output, request, report, ledger)
        except ArtifactDamagedError as error:
            passed_over(f"{dossier.folder.name} is passed over: {one_line(error)}")


def _waiting_run(output: Path, request: RunRequest, report: RunReport, ledger: Ledger) -> WaitingRun:
    quality = next((each for each in reversed(report.decisions) if each.gate is Gate.QUALITY), None)
    if quality is None:
        raise ArtifactDamagedError(f"{request.run_id} waits without a decision of the quality gate")
    try:
        settings = RunSettings.as_written(request.settings)
    except ValidationError as error:
        raise ArtifactDamagedError(
            f"the settings in the request of {request.run_id} cannot be read: {error}"
        ) from error
    subject = subject_of(quality)
    asked = first_asked(ledger, subject)
    allowed = timedelta(days=settings.policy.escalation.approval_expires_days)
    # Whether a signature holds is for the gate to say.
    answer = find_answer(output, subject, ledger, keyring=None)
    return WaitingRun(
        request=request,
        expires_at=None if asked is None else datetime.fromisoformat(asked) + allowed,
        answer=None if answer.approval is None else answer.approval.digest(),
    )
