"""Verifying one promotion from its folder: who signed, whose scores, and the gate decided again."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from data_contracts.errors import EnvelopeRefusedError, one_line
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import Digest, digest_file
from data_contracts.records.bases import DecisionRecord, PromotionBasis
from data_contracts.records.evidence import ScoringEvidence
from data_contracts.records.ledger import EntryKind
from data_contracts.records.looks import Registration
from data_contracts.records.policy import Policy
from data_contracts.records.statements import DECISION_PREDICATE, Keyring
from data_contracts.records.verification import Check, CheckResult, FoundFault, Verification
from tasks.audit.cited import CitedEvidence
from tasks.audit.deciding import decide
from tasks.audit.verify.decisions import differences
from tasks.audit.verify.held import UNREADABLE
from tasks.audit.verify.scores import against_evidence
from tasks.decisions.alternatives import alternatives_to
from tasks.evidence.dossier import REGISTRATION
from tasks.evidence.ledger.book import Ledger
from tasks.evidence.records import read_record
from tasks.evidence.redaction import is_as_named
from tasks.evidence.scores import SCORES_FILE
from tasks.evidence.signing.envelopes import read_envelope, verify_envelope
from tasks.evidence.signing.payloads import predicate_of, unverified_statement

DECISION = "decision.json"
POLICY = "policy.json"
"""In the folder of a promotion."""
_NEVER_PROVEN = (
    "That the scores came from the artifacts: `lorafirst verify --rescore` asks those of each run again.",
    "Which rows a slice has: the rows lie in the challenger's dossier.",
    "What margin and floor champion and anchor stand by: their policies lie in their dossiers.",
)


def is_promotion(folder: Path) -> bool:
    return (folder / DECISION).is_file() and (folder / POLICY).is_file()


def verify_promotion(
    folder: Path, *, keyring: Keyring | None = None, ledger: Ledger | None = None
) -> Verification:
    """Every fault of the promotion in ``folder``.

    Raises:
        EnvelopeRefusedError: its decision says nothing that can be read.
    """
    content = (folder / DECISION).read_bytes()
    statement = unverified_statement(content)
    record = predicate_of(statement, DECISION_PREDICATE, DecisionRecord)
    artifacts = {each.name: f"sha256:{each.digest_set.sha256}" for each in statement.subject}
    checks = [
        _result(Check.SIGNATURES, 1, _signature(content, record, keyring), _unchecked(keyring)),
        _result(Check.SCORES, _scorings(record), _scores(folder, record, artifacts)),
        _result(Check.DECISIONS, 1, _again(folder, record)),
        _result(Check.LEDGER, 0 if ledger is None else 1, _entered(record, ledger), _unentered(ledger)),
    ]
    signed = keyring is not None and not checks[0].faults
    return Verification(
        run_id=record.judgement.decision.run_id,
        dossier=str(folder),
        outcome=None,
        signed=signed,
        checks=tuple(checks),
        not_proven=_NEVER_PROVEN,
    )


def _result(check: Check, count: int, faults: Iterator[tuple[str, str]], note: str = "") -> CheckResult:
    found: list[FoundFault] = []
    try:
        found.extend(FoundFault(check=check, where=where, what=what) for where, what in faults)
    except UNREADABLE as error:
        what = f"it could not be carried out to its end: {one_line(error)}"
        found.append(FoundFault(check=check, where="the check", what=what))
    return CheckResult(check=check, looked_at=count, note=note, faults=tuple(found))


def _signature(content: bytes, record: DecisionRecord, keyring: Keyring | None) -> Iterator[tuple[str, str]]:
    if keyring is None:
        return
    try:
        verify_envelope(
            read_envelope(content), keyring, KeyRole.PIPELINE, datetime.fromisoformat(record.made_at)
        )
    except EnvelopeRefusedError as error:
        for what in error.faults:
            yield DECISION, what


def _scores(folder: Path, record: DecisionRecord, artifacts: dict[str, Digest]) -> Iterator[tuple[str, str]]:
    """Scores are those that the evidence names, of the artifacts that the statement is about."""
    basis = record.judgement.basis
    if not isinstance(basis, PromotionBasis):
        yield DECISION, f"it rests on what the {basis.gate.value} gate is told"
        return
    cited = CitedEvidence(folder)
    for name in ("challenger", "champion", "anchor"):
        scored = getattr(basis, name)
        for digest in () if scored is None else scored.evidence:
            place = cited.folder(digest)
            evidence = cited.record(digest, ScoringEvidence)
            file = (place / SCORES_FILE).relative_to(folder).as_posix()
            if name in artifacts and evidence.artifact != artifacts[name]:
                yield file, f"another artifact was scored than the {name} that the decision is about"
            if evidence.snapshot != record.inputs.snapshot:
                yield file, "its rows are of another snapshot than the challenger's"
            if not is_as_named(place / SCORES_FILE, evidence.scores, digest_file):
                yield file, "it is not the file that its evidence names"
            for fault in against_evidence(file, pq.read_table(place / SCORES_FILE), evidence):
                yield fault.where, fault.what


def _again(folder: Path, record: DecisionRecord) -> Iterator[tuple[str, str]]:
    policy = read_record(folder / POLICY, Policy)
    stored = record.judgement.decision
    if policy.digest() != stored.policy:
        yield POLICY, "it is another policy than the decision names"
    if record.alternatives != alternatives_to(record.judgement):
        yield DECISION, "the alternatives that it names are not those that it left"
    again = decide(
        record.judgement.basis,
        cited=CitedEvidence(folder),
        decisions=(),
        registration=read_record(folder / REGISTRATION, Registration),
        policy=policy,
        run_id=stored.run_id,
    )
    for what in differences(again, stored):
        yield DECISION, f"decided again from the evidence, {what}"


def _entered(record: DecisionRecord, ledger: Ledger | None) -> Iterator[tuple[str, str]]:
    """The ledger holds the decision, and before it the question and a look."""
    if ledger is None:
        return
    decision, digest = record.judgement.decision, record.judgement.digest()
    own = list(ledger.entries(decision.run_id))
    entries = [each for each in own if each.about == digest and each.kind is EntryKind.of(decision)]
    if not entries:
        yield "ledger", f"it holds no {EntryKind.of(decision).value} about this decision"
        return
    asked = [each.sequence for each in own if each.about == decision.registration]
    looks = [each.sequence for each in own if each.kind is EntryKind.LOOK]
    if not asked or asked[0] > entries[0].sequence:
        yield "ledger", "the question was not registered before the decision"
    elif not any(asked[0] < look < entries[0].sequence for look in looks):
        yield "ledger", "no look stands between the question and the decision"
    for fault in ledger.check()[1]:
        yield f"ledger, entry {fault.sequence}", fault.what


def _scorings(record: DecisionRecord) -> int:
    basis = record.judgement.basis
    if not isinstance(basis, PromotionBasis):
        return 0
    return sum(each is not None for each in (basis.challenger, basis.champion, basis.anchor))


def _unchecked(keyring: Keyring | None) -> str:
    return "" if keyring is not None else "no keyring was given, so nobody checked who signed"


def _unentered(ledger: Ledger | None) -> str:
    return "" if ledger is not None else "no ledger was at hand"
