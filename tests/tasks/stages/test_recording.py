"""What a run appends to the ledger, and that nobody acts on what could not be appended."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.errors import InputError, LedgerError, TrainingDivergedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import FileRecord, FolderRecord, digest_file, utc_time
from data_contracts.records.bases import DecisionRecord, JudgedInputs, Judgement, PowerBasis
from data_contracts.records.decision import Gate, Outcome, Verdict
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.ledger import EntryKind
from data_contracts.records.settings import RunSettings
from tasks.audit.approval import answer_escalation
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import read_approval
from tasks.evidence.dossier import Dossier, read_decision
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.evidence.signing.envelopes import read_envelope, verify_envelope
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.recording import (
    note_fault,
    record_attempt,
    record_decision,
    record_end,
    record_permit,
    record_promotion,
    sign_permit,
)
from tests.data_contracts.test_permit import make_decision, make_permit
from tests.tasks.evidence.made import finish
from tests.tasks.evidence.test_dossier import DIGEST, report, request

ACCURACY = {"extends": "exploratory", "metric": "accuracy", "target": 0.5, "margin": 0.05}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    monkeypatch.delenv("LORAFIRST_LEDGER", raising=False)
    settings = RunSettings.model_validate(
        {
            "name": "small",
            "task": "classification",
            "model": {"source": "some/model"},
            "data": {"source": "rows.jsonl"},
            "policy": ACCURACY,
            "output": tmp_path,
        }
    )
    (tmp_path / "run-1").mkdir()
    return RunContext("run-1", settings, Dossier(tmp_path / "run-1"), tmp_path, 1)


def entered(output: Path) -> list[tuple[str, str, str, str]]:
    with open_ledger(str(output / FILE), read_only=True) as ledger:
        assert ledger.check()[1] == ()
        return [(entry.kind.value, entry.run_id, entry.about, entry.actor) for entry in ledger.entries()]


def judged(gate: Gate, verdict: Verdict = Verdict.PASS) -> Judgement:
    decision = make_decision(gate=gate, verdict=verdict)
    return Judgement(decision=decision, basis=PowerBasis(registration="sha256:" + "0" * 64))


@pytest.fixture
def findings(context: RunContext) -> Findings:
    """Of a run that has found its base."""
    context.dossier.write_request(request("run-1"))
    weights = FileRecord(path="model.safetensors", sha256="sha256:" + "1" * 64, size_bytes=1)
    tokenizer = FileRecord(path="tokenizer.json", sha256="sha256:" + "2" * 64, size_bytes=1)
    base = BaseModelRecord(
        source="some/model",
        folder="/somewhere",
        weights=FolderRecord(files=(weights, tokenizer)),
        architecture="BertModel",
        parameters=1,
        layers=1,
        width=1,
        vocabulary=1,
        positions=None,
        converted_from=None,
    )
    return Findings(base=base)


def test_each_entry_names_what_is_in_the_dossier(
    context: RunContext, findings: Findings, tmp_path: Path
) -> None:
    judgement, permit = judged(Gate.NEED), make_permit()
    record_attempt(context)
    record_decision(context, findings, judgement, 1)
    record_permit(context, permit, sign_permit(permit))
    ended = report(context.dossier)
    record_end(context, ended)
    error = TrainingDivergedError("at step 3")
    note_fault(context, error)
    folder = context.dossier.folder
    kept = read_decision(folder / "decisions" / "01-need.json")
    assert kept.judgement == judgement and kept.requested_by == "somebody"
    assert kept.inputs.request == digest_file(folder / "request.yaml")
    assert kept.inputs.tokenizer == FolderRecord(files=findings.base.weights.files[1:]).digest()
    assert context.dossier.permit() == permit
    assert entered(tmp_path) == [
        ("attempt", "run-1", digest_file(folder / "request.yaml"), "somebody"),
        ("decision", "run-1", kept.judgement.digest(), "gate need"),
        ("permit_issued", "run-1", permit.digest(), "gate escalation"),
        ("outcome", "run-1", digest_file(folder / "outcome.json"), "run"),
        ("fault", "run-1", digest_file(folder / "fault.json"), "run"),
    ]


def test_a_resumed_run_enters_the_same_decision_once(
    context: RunContext, findings: Findings, tmp_path: Path
) -> None:
    for _ in range(2):
        record_decision(context, findings, judged(Gate.CONTRACT, Verdict.FAIL), 1)
        record_decision(context, findings, judged(Gate.NEED), 2)
        note_fault(context, TrainingDivergedError("at step 3"))
    kinds = [kind for kind, _, _, _ in entered(tmp_path)]
    assert kinds == ["rejection", "decision", "fault", "fault"], "a fault that comes again is another one"


def test_a_champion_that_takes_its_place_again_by_the_same_judgement_is_entered_again(
    context: RunContext, findings: Findings, tmp_path: Path
) -> None:
    runs = {"run-1", "run-2"}
    somebody = request("run-1")

    def promote(verdict: Verdict = Verdict.PASS) -> list[str]:
        record = DecisionRecord(
            judgement=judged(Gate.PROMOTION, verdict),
            inputs=JudgedInputs(
                request=DIGEST, base_model=DIGEST, tokenizer=DIGEST, contract=None, snapshot=None, seeds=(0,)
            ),
            alternatives=(),
            requested_by=somebody.requested_by,
            answered_by=None,
            environment=somebody.environment,
            made_at=utc_time(datetime.now(UTC)),
        )
        record_promotion(context, record, {"challenger": DIGEST}, runs=runs)
        return [kind for kind, _, _, _ in entered(tmp_path)]

    assert promote() == promote() == ["promotion"], "one that broke off is finished, and entered once"
    with open_ledger(str(tmp_path / FILE)) as ledger:
        ledger.append(EntryKind.PROMOTION, run_id="elsewhere-1", about=DIGEST, actor="gate promotion")
    assert promote() == ["promotion", "promotion"], "another model's champion is nothing to this one"
    with open_ledger(str(tmp_path / FILE)) as ledger:
        ledger.append(EntryKind.ROLLBACK, run_id="run-2", about=DIGEST, actor="Ada")
    assert promote()[2:] == ["rollback", "promotion"]
    assert promote()[2:] == ["rollback", "promotion"]
    assert promote(Verdict.FAIL)[4:] == promote(Verdict.FAIL)[4:] == ["champion_kept"]


def test_a_gate_decides_for_nobody_whose_ledger_fails(
    context: RunContext, findings: Findings, tmp_path: Path
) -> None:
    """The decision is in the dossier, and the caller learns of the failure instead of going on."""
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    judgement = judged(Gate.CONTRACT)
    with pytest.raises(LedgerError, match="no SQLite database"):
        record_decision(context, findings, judgement, 1)
    assert context.dossier.decisions() == (judgement.decision,)
    error = TrainingDivergedError("at step 3")
    note_fault(context, error)
    assert "not in the ledger" in error.__notes__[0] and str(error) == "at step 3"


def test_what_is_recorded_is_signed_where_there_is_a_key(
    context: RunContext, findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    secret, public = create_key(
        tmp_path / "keys", name="pipeline", role=KeyRole.PIPELINE, password="secret", now=now
    )
    keyring = read_keyring(public)
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "secret")
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", str(secret))
    record_decision(context, findings, judged(Gate.NEED), 1)
    monkeypatch.delenv("LORAFIRST_SIGNING_KEY_FILE")
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY", secret.read_text(encoding="utf-8"))
    permit = make_permit()
    record_permit(context, permit, sign_permit(permit))
    record_end(context, report(context.dossier))
    for name in ("decisions/01-need.json", "permit.json", "manifest.json"):
        envelope = read_envelope((context.dossier.folder / name).read_bytes())
        verify_envelope(envelope, keyring, KeyRole.PIPELINE, datetime.now(UTC))
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "wrong")
    with pytest.raises(InputError, match="a wrong password"):
        record_decision(context, findings, judged(Gate.NEED), 2)


def test_answers_are_entered_before_they_count(context: RunContext, tmp_path: Path) -> None:
    quality = make_decision(gate=Gate.QUALITY)
    ended = report(context.dossier).model_copy(
        update={"outcome": Outcome.AWAITING_APPROVAL, "decisions": (quality,)}
    )
    settings = context.settings.model_dump(mode="json")
    context.dossier.write_request(request("run-1").model_copy(update={"settings": settings}))
    context.dossier.write_report(ended)
    finish(context.dossier)

    def answer(approved: bool) -> str:
        return answer_escalation(tmp_path, "run-1", approved=approved, name="Ada", reason="due").digest()

    given = [answer(True), answer(False), answer(True)]
    assert entered(tmp_path) == [
        (kind, "run-1", digest, "Ada")
        for kind, digest in zip(("approval", "denial", "approval"), given, strict=True)
    ]
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    with pytest.raises(LedgerError):
        answer(False)
    (file,) = (tmp_path / ".approvals").iterdir()
    kept = read_approval(file.read_bytes())
    assert kept.approved and kept.subject == subject_of(quality), "what could not be entered does not count"
