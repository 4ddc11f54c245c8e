"""Envelopes as a run writes them, around decisions that were made by hand and signed by nobody."""

from data_contracts.records.base import Record
from data_contracts.records.bases import DecisionRecord, JudgedInputs, Judgement, PowerBasis
from data_contracts.records.decision import Decision
from data_contracts.records.evidence import Environment
from data_contracts.records.manifest import Manifest
from data_contracts.records.statements import DECISION_PREDICATE, MANIFEST_PREDICATE
from tasks.evidence.dossier import Dossier
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement

DIGEST = "sha256:" + "0" * 64
AT = "2026-01-02T03:04:05.000006Z"


def environment() -> Environment:
    return Environment(
        python="3.11",
        platform="Linux",
        processor="x",
        processor_count=2,
        memory_bytes=2**33,
        packages={},
        code=DIGEST,
    )


def decided(decision: Decision) -> bytes:
    """The file of ``decision``; what it was decided on is made up."""
    record = DecisionRecord(
        judgement=Judgement(decision=decision, basis=PowerBasis(registration=DIGEST)),
        inputs=JudgedInputs(
            request=DIGEST, base_model=DIGEST, tokenizer=DIGEST, contract=None, snapshot=None, seeds=(17,)
        ),
        alternatives=(),
        requested_by="somebody",
        answered_by=None,
        environment=environment(),
        made_at=AT,
    )
    return _unsigned(record, DECISION_PREDICATE)


def decide(dossier: Dossier, decision: Decision) -> None:
    """Writes ``decision`` as the next one of the dossier."""
    dossier.write_decision(len(dossier.decision_paths()) + 1, decision.gate, decided(decision))


def finish(dossier: Dossier) -> None:
    """Writes the manifest of what is there."""
    manifest = Manifest(run_id=dossier.folder.name, files=dossier.contents(), ledger_head=DIGEST, made_at=AT)
    dossier.finish(_unsigned(manifest, MANIFEST_PREDICATE))


def _unsigned(record: Record, predicate: str) -> bytes:
    return envelope_bytes(sign_statement(record, {"made up": DIGEST}, predicate, None))
