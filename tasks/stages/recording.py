"""What a run appends to the ledger, each after the file that it is about is in the dossier.

A run that is resumed appends what is new alone: the same decision of the same run stands there once.
"""

from data_contracts.errors import LedgerError
from data_contracts.records.base import Digest
from data_contracts.records.decision import Decision, RunReport
from data_contracts.records.ledger import EntryKind, Fault
from data_contracts.records.permit import Permit
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.stages.context import RunContext


def note_decision(context: RunContext, decision: Decision) -> None:
    _note(context, EntryKind.of(decision), decision.digest(), actor=f"gate {decision.gate.value}")


def note_permit(context: RunContext, permit: Permit) -> None:
    _note(context, EntryKind.PERMIT_ISSUED, permit.digest(), actor=f"gate {permit.decision.gate.value}")


def note_outcome(context: RunContext, report: RunReport) -> None:
    _note(context, EntryKind.OUTCOME, report.digest(), actor="run")


def note_fault(context: RunContext, error: Exception) -> None:
    """Keeps why the run broke off; a ledger that fails at it is named beside the error."""
    fault = Fault(error=type(error).__name__, message=str(error))
    try:
        context.dossier.write_fault(fault)
        _note(context, EntryKind.FAULT, fault.digest(), actor="run", once=False)
    except (LedgerError, OSError) as failed:
        error.add_note(f"This fault is not in the ledger: {failed}")


def _note(context: RunContext, kind: EntryKind, about: Digest, *, actor: str, once: bool = True) -> None:
    """Raises ``LedgerError`` if nothing was appended: then nobody may act on it."""
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        ledger.append(kind, run_id=context.run_id, about=about, actor=actor, once=once)
