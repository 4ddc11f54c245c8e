"""The answer that an escalation waits for, as it is found beside the runs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from data_contracts.records.base import UtcTime
from data_contracts.records.decision import Decision
from data_contracts.records.policy import ApprovalRule
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import Answer, find_answer, first_asked
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.signing.signers import pinned_keyring
from tasks.stages.context import RunContext


@dataclass(frozen=True)
class Asked:
    """What was asked of a person, and what came of it."""

    answer: Answer
    at: UtcTime | None = None
    """When it was first asked."""

    @property
    def waited_days(self) -> float:
        """Until the answer was entered, or until now."""
        if self.at is None:
            return 0.0
        entered = self.answer.entered_at
        until = datetime.now(UTC) if entered is None else datetime.fromisoformat(entered)
        return (until - datetime.fromisoformat(self.at)) / timedelta(days=1)


def answer_to(context: RunContext, quality: Decision) -> Asked:
    """What was answered to the shortfall that ``quality`` shows; a copy goes into the dossier.

    Raises:
        InputError: the pinned keyring cannot be read.
        LedgerError: the ledger cannot be read.
    """
    if context.settings.policy.escalation.approval is ApprovalRule.NONE:
        return Asked(Answer())
    output, subject = context.settings.output, subject_of(quality)
    with open_ledger(ledger_location(output)) as ledger:
        asked = Asked(find_answer(output, subject, ledger, pinned_keyring()), first_asked(ledger, subject))
    if asked.answer.approval is not None:
        context.dossier.write_approval(asked.answer.envelope)
    return asked
