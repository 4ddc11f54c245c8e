"""What a run records: signed where there is a key, in the dossier first and then in the ledger.

Nobody acts on what is not in both. A run that is resumed appends what is new alone: the same judgement of the
same run stands in the ledger once, unless it makes a champion again that was none meanwhile.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from data_contracts.errors import LedgerError
from data_contracts.records.base import Digest, Record, digest_file, utc_time
from data_contracts.records.bases import DecisionRecord, EscalationBasis, JudgedInputs, Judgement
from data_contracts.records.decision import Decision, RunReport
from data_contracts.records.ledger import EntryKind, Fault, LedgerEntry
from data_contracts.records.looks import Look, Registration
from data_contracts.records.manifest import Manifest
from data_contracts.records.permit import Permit
from data_contracts.records.statements import DECISION_PREDICATE, MANIFEST_PREDICATE, PERMIT_PREDICATE
from tasks.audit.verify.promotion import DECISION, POLICY
from tasks.decisions.alternatives import alternatives_to
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.dossier import REQUEST
from tasks.evidence.files import write_atomically
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.ledger.crownings import last_crowning
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.model_keys import model_key, sign_model
from tasks.evidence.signing.signers import pipeline_signer
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings


def record_attempt(context: RunContext) -> None:
    """Notes that the run begins, or goes on after it broke off, maybe with other code."""
    about = digest_file(context.dossier.folder / REQUEST)
    _note(context, EntryKind.ATTEMPT, about, actor=context.dossier.request().requested_by, once=False)


def record_registration(context: RunContext, registration: Registration) -> None:
    _note(context, EntryKind.REGISTRATION, registration.digest(), actor="run")


def record_look(context: RunContext, look: Look) -> None:
    _note(context, EntryKind.LOOK, look.digest(), actor="run")


def record_decision(context: RunContext, findings: Findings, judgement: Judgement, number: int) -> None:
    """Writes the ``number``-th decision of the run."""
    decision, basis = judgement.decision, judgement.basis
    answer = basis.facts.approval if isinstance(basis, EscalationBasis) else None
    request, inputs = context.dossier.request(), _inputs(context, findings)
    record = DecisionRecord(
        judgement=judgement,
        inputs=inputs,
        alternatives=alternatives_to(judgement),
        requested_by=request.requested_by,
        answered_by=None if answer is None else answer.name,
        environment=request.environment,
        made_at=utc_time(datetime.now(UTC)),
    )
    named = {"request": inputs.request, "base model": inputs.base_model, "policy": decision.policy}
    known = {"contract": inputs.contract, "snapshot": inputs.snapshot}
    subjects = {**named, **{name: digest for name, digest in known.items() if digest is not None}}
    cited = {f"evidence {order}": digest for order, digest in enumerate(decision.evidence, 1)}
    envelope = _signed(record, {**subjects, **cited}, DECISION_PREDICATE)
    context.dossier.write_decision(number, decision.gate, envelope)
    _note(context, EntryKind.of(decision), judgement.digest(), actor=f"gate {decision.gate.value}")


def record_question(context: RunContext, quality: Decision) -> None:
    """The run is about to end, and waits for a person's answer about what ``quality`` shows."""
    _note(context, EntryKind.QUESTION, subject_of(quality), actor="gate escalation")


def record_promotion(
    context: RunContext, record: DecisionRecord, subjects: dict[str, Digest], *, runs: Collection[str]
) -> None:
    """Writes what the promotion gate decided into the promotion's folder, and enters it.

    What took the champion's place before, lost it and takes it again by the same judgement is entered again:
    the last entry says who is champion.

    Args:
        runs: of every version of the model.
    """
    judgement = record.judgement
    envelope = _signed(record, subjects, DECISION_PREDICATE)
    context.dossier.write_record(POLICY, context.settings.policy)
    write_atomically(context.dossier.folder / DECISION, envelope)
    kind, about = EntryKind.of(judgement.decision), judgement.digest()
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        last = last_crowning(ledger, runs)
    holds = last is None or last.about == about
    once = kind is not EntryKind.PROMOTION or holds
    _note(context, kind, about, actor="gate promotion", once=once)


def sign_permit(permit: Permit) -> bytes:
    subjects = {"snapshot": permit.snapshot, "base model": permit.base_model, "policy": permit.policy}
    return _signed(permit, subjects, PERMIT_PREDICATE)


def record_permit(context: RunContext, permit: Permit, envelope: bytes) -> None:
    """``envelope`` is the permit's; a run that is resumed finds it again beside the runs."""
    KeptPermits.of(context.settings.output, context.run_id).keep(envelope)
    context.dossier.write_permit(envelope)
    _note(context, EntryKind.PERMIT_ISSUED, permit.digest(), actor=f"gate {permit.decision.gate.value}")


def _sign_accepted(context: RunContext, report: RunReport) -> None:
    """Signs the folder of what was accepted, where there is a key for that.

    Raises:
        InputError: there is one, and it cannot be used.
    """
    key = model_key()
    if key is not None and report.accepted_artifact is not None:
        sign_model(context.dossier.folder / report.accepted_artifact, key)


def record_end(context: RunContext, report: RunReport) -> None:
    """Writes the report, enters it, and then the manifest: the dossier is complete."""
    _sign_accepted(context, report)
    context.dossier.write_report(report)
    entry = _note(context, EntryKind.OUTCOME, report.digest(), actor="run")
    manifest = Manifest(
        run_id=context.run_id,
        files=context.dossier.contents(),
        ledger_head=entry.entry_digest,
        made_at=utc_time(datetime.now(UTC)),
    )
    subjects = {file.path: file.sha256 for file in manifest.files}
    context.dossier.finish(_signed(manifest, subjects, MANIFEST_PREDICATE))


def note_fault(context: RunContext, error: Exception) -> None:
    """Keeps why the run broke off; a ledger that fails at it is named beside the error."""
    fault = Fault(error=type(error).__name__, message=str(error))
    try:
        context.dossier.write_fault(fault)
        _note(context, EntryKind.FAULT, fault.digest(), actor="run", once=False)
    except (LedgerError, OSError) as failed:
        error.add_note(f"This fault is not in the ledger: {failed}")


def _inputs(context: RunContext, findings: Findings) -> JudgedInputs:
    seeds = context.settings.policy.seeds
    first = context.settings.seed
    return JudgedInputs(
        request=digest_file(context.dossier.folder / REQUEST),
        base_model=findings.base.identity(),
        tokenizer=findings.base.tokenizer_digest(),
        contract=findings.checked.record.digest() if findings.checked else None,
        snapshot=findings.snapshot.record.digest() if findings.snapshot else None,
        seeds=tuple(range(first, first + max(seeds.to_pass, seeds.to_escalate))),
    )


def _signed(record: Record, subjects: dict[str, Digest], predicate: str) -> bytes:
    return envelope_bytes(sign_statement(record, subjects, predicate, pipeline_signer()))


def _note(
    context: RunContext, kind: EntryKind, about: Digest, *, actor: str, once: bool = True
) -> LedgerEntry:
    """Raises ``LedgerError`` if nothing was appended: then nobody may act on it."""
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        return ledger.append(kind, run_id=context.run_id, about=about, actor=actor, once=once)
