"""A person's answer to a run that waits for one."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from securesystemslib.signer import CryptoSigner

from data_contracts.errors import ArtifactDamagedError, InputError, Problem
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import utc_time
from data_contracts.records.decision import Gate, Outcome, RunReport
from data_contracts.records.evidence import RunRequest
from data_contracts.records.ledger import EntryKind
from data_contracts.records.pilots import Approval
from data_contracts.records.policy import ApprovalRule
from data_contracts.records.settings import RunSettings
from data_contracts.records.statements import APPROVAL_PREDICATE, KeyringEntry
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import write_approval
from tasks.evidence.dossier import Dossier, find_dossier
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.keys import public_key_of
from tasks.evidence.signing.signers import KEYRING_VARIABLE, pinned_keyring


def answer_escalation(
    output: Path,
    run: str,
    *,
    approved: bool,
    name: str | None,
    reason: str,
    signer: CryptoSigner | None = None,
) -> Approval:
    """Records the answer beside the runs, bound to the evidence and policy that were asked about.

    An answer that has been given can be given anew, and the last one counts; decisions that were made on an
    earlier one stay in their dossiers.

    Args:
        name: whose answer it is; left out, the name of the key.
        signer: of the approver's key; the answer is only recorded without one.

    Raises:
        InputError: the run waits for nobody, the answer is empty or the requester's own, or it is not signed
            by an approver's key of the pinned keyring where it should be; with every problem.
        LedgerError: the answer could not be entered, and does not count.
    """
    dossier = find_dossier(output, run)
    report, request = _waiting(dossier), dossier.request()
    now = datetime.now(UTC)
    entry = None if signer is None else _approver(signer, now)
    key = None if entry is None else entry.name
    name = (name or key or "").strip()
    _require_answer(request, name=name, key=key, reason=reason)
    quality = next(each for each in reversed(report.decisions) if each.gate is Gate.QUALITY)
    answer = Approval(
        approved=approved,
        name=name,
        reason=reason.strip(),
        subject=subject_of(quality),
        requested_by=request.requested_by,
        answered_at=utc_time(now),
        key=key,
    )
    envelope = envelope_bytes(
        sign_statement(answer, {"question": answer.subject}, APPROVAL_PREDICATE, signer)
    )
    kind = EntryKind.APPROVAL if approved else EntryKind.DENIAL
    # The ledger first: a run may act on the file from the moment it is there.
    with open_ledger(ledger_location(output)) as ledger:
        ledger.append(kind, run_id=request.run_id, about=answer.digest(), actor=answer.name)
    write_approval(output, answer, envelope)
    return answer


def _waiting(dossier: Dossier) -> RunReport:
    report = dossier.report()
    if report is None or report.outcome is not Outcome.AWAITING_APPROVAL:
        raise InputError.single(
            f"run {dossier.request().run_id}",
            expected="a run that ended in awaiting_approval",
            found=report.outcome.value if report else "one that has not ended",
            remedy="`lorafirst runs` lists how runs ended",
        )
    return report


def _require_answer(request: RunRequest, *, name: str, key: str | None, reason: str) -> None:
    problems = [
        Problem(
            where=option,
            expected="some words",
            found="none",
            remedy="an empty answer would be a denial; say it",
        )
        for option, text in (("--name", name), ("--reason", reason))
        if not text.strip()
    ]
    asked = request.requested_by.strip().casefold()
    problems += [
        Problem(
            where=option,
            expected="somebody other than the one who asked for the run",
            found=given,
            remedy=f"let somebody other than {request.requested_by} answer",
        )
        for option, given in (("--name", name), ("--key", key or ""))
        if given.casefold() == asked
    ]
    if key is None and _rule_of(request) is ApprovalRule.SIGNED:
        problems.append(
            Problem(
                where="--key",
                expected="an approver's key: the policy of this run asks for signed answers",
                found="none",
                remedy="name the file of your key; `lorafirst keys new --role approver` makes one",
            )
        )
    if problems:
        raise InputError(problems)


def _rule_of(request: RunRequest) -> ApprovalRule:
    try:
        return RunSettings.as_written(request.settings).policy.escalation.approval
    except ValidationError as error:
        raise ArtifactDamagedError(
            f"the settings in the request of {request.run_id} cannot be read: {error}"
        ) from error


def _approver(signer: CryptoSigner, now: datetime) -> KeyringEntry:
    """What the pinned keyring says of the key; an answer signed by any other would not count."""
    keyring = pinned_keyring()
    if keyring is None:
        raise InputError.single(
            KEYRING_VARIABLE,
            expected="the path of the keyring that runs are checked against",
            found="nothing",
            remedy="set it, so that it can be told whether the answer will count",
        )
    entry = keyring.counting(public_key_of(signer), KeyRole.APPROVER, now)
    if entry is None:
        held = keyring.holding(public_key_of(signer))
        raise InputError.single(
            "--key",
            expected="an approver's key that the pinned keyring holds, and that counts today",
            found="a key that is not in it" if held is None else str(held),
            remedy="let whoever keeps the keyring put the key in; its .keyring.yaml has the entry",
        )
    return entry
