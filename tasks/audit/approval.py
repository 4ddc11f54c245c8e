"""A person's answer to a run that waits for one."""

from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.records.decision import Gate, Outcome
from data_contracts.records.ledger import EntryKind
from data_contracts.records.pilots import Approval
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import write_approval
from tasks.evidence.dossier import find_dossier
from tasks.evidence.ledger.book import ledger_location, open_ledger


def answer_escalation(output: Path, run: str, *, approved: bool, name: str, reason: str) -> Approval:
    """Records the answer beside the runs, bound to the evidence and policy that were asked about.

    An answer that has been given can be given anew, and the last one counts; decisions that were made on an
    earlier one stay in their dossiers.

    Raises:
        InputError: the run waits for nobody, or the answer is empty or the requester's own.
        LedgerError: the answer could not be entered, and does not count.
    """
    dossier = find_dossier(output, run)
    report, request = dossier.report(), dossier.request()
    if report is None or report.outcome is not Outcome.AWAITING_APPROVAL:
        raise InputError.single(
            f"run {request.run_id}",
            expected="a run that ended in awaiting_approval",
            found=report.outcome.value if report else "one that has not ended",
            remedy="`lorafirst runs` lists how runs ended",
        )
    for option, text in (("--name", name), ("--reason", reason)):
        if not text.strip():
            raise InputError.single(
                option,
                expected="some words",
                found="none",
                remedy="an empty answer would be a denial; say it",
            )
    if name.strip().casefold() == request.requested_by.casefold():
        raise InputError.single(
            "--name",
            expected="somebody other than the one who asked for the run",
            found=name,
            remedy=f"let somebody other than {request.requested_by} answer",
        )
    quality = next(each for each in reversed(report.decisions) if each.gate is Gate.QUALITY)
    answer = Approval(
        approved=approved, name=name.strip(), reason=reason.strip(), subject=subject_of(quality)
    )
    kind = EntryKind.APPROVAL if approved else EntryKind.DENIAL
    # The ledger first: a run may act on the file from the moment it is there.
    with open_ledger(ledger_location(output)) as ledger:
        ledger.append(kind, run_id=request.run_id, about=answer.digest(), actor=answer.name)
    write_approval(output, answer)
    return answer
