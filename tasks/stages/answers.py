"""The answer that an escalation waits for, as it is found beside the runs."""

from data_contracts.records.decision import Decision
from data_contracts.records.policy import ApprovalRule
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import Answer, find_answer
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.signing.signers import pinned_keyring
from tasks.stages.context import RunContext


def answer_to(context: RunContext, quality: Decision) -> Answer:
    """What was answered to the shortfall that ``quality`` shows; a copy goes into the dossier.

    Raises:
        InputError: the pinned keyring cannot be read.
        LedgerError: the ledger cannot be read.
    """
    if context.settings.policy.escalation.approval is ApprovalRule.NONE:
        return Answer()
    output = context.settings.output
    with open_ledger(ledger_location(output)) as ledger:
        answer = find_answer(output, subject_of(quality), ledger, pinned_keyring())
    if answer.approval is not None:
        context.dossier.write_approval(answer.envelope)
    return answer
