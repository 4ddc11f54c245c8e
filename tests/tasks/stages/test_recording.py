"""What a run appends to the ledger, and that nobody acts on what could not be appended."""

from pathlib import Path
from typing import cast

import pytest

from data_contracts.errors import LedgerError, TrainingDivergedError
from data_contracts.records.base import digest_file
from data_contracts.records.decision import Gate, Outcome, Verdict
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.settings import RunSettings
from tasks.audit.approval import answer_escalation
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import read_approval
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.stages import gates
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.recording import note_decision, note_fault, note_outcome, note_permit
from tests.data_contracts.test_permit import make_decision, make_permit
from tests.tasks.evidence.test_dossier import report, request

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


def test_each_entry_names_the_file_in_the_dossier(context: RunContext, tmp_path: Path) -> None:
    passed, permit = make_decision(gate=Gate.NEED), make_permit()
    context.dossier.write_decision(1, passed)
    note_decision(context, passed)
    context.dossier.write_permit(permit)
    note_permit(context, permit)
    ended = report(context.dossier)
    context.dossier.write_report(ended)
    note_outcome(context, ended)
    error = TrainingDivergedError("at step 3")
    note_fault(context, error)
    files = ("decisions/01-need.json", "permit.json", "outcome.json", "fault.json")
    digests = [digest_file(context.dossier.folder / name) for name in files]
    assert entered(tmp_path) == [
        ("decision", "run-1", digests[0], "gate need"),
        ("permit_issued", "run-1", digests[1], "gate escalation"),
        ("outcome", "run-1", digests[2], "run"),
        ("fault", "run-1", digests[3], "run"),
    ]


def test_a_resumed_run_enters_the_same_decision_once(context: RunContext, tmp_path: Path) -> None:
    for _ in range(2):
        note_decision(context, make_decision(gate=Gate.CONTRACT, verdict=Verdict.FAIL))
        note_decision(context, make_decision(gate=Gate.NEED))
        note_fault(context, TrainingDivergedError("at step 3"))
    kinds = [kind for kind, _, _, _ in entered(tmp_path)]
    assert kinds == ["rejection", "decision", "fault", "fault"], "a fault that comes again is another one"


def test_a_gate_decides_for_nobody_whose_ledger_fails(context: RunContext, tmp_path: Path) -> None:
    """The decision is in the dossier, and the caller learns of the failure instead of going on."""
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    findings = Findings(base=cast(BaseModelRecord, None))  # no gate's own work is done here
    decision = make_decision(gate=Gate.CONTRACT)
    with pytest.raises(LedgerError, match="no SQLite database"):
        gates._record(context, findings, decision)
    assert context.dossier.decisions() == (decision,)
    error = TrainingDivergedError("at step 3")
    note_fault(context, error)
    assert "not in the ledger" in error.__notes__[0] and str(error) == "at step 3"


def test_answers_are_entered_before_they_count(context: RunContext, tmp_path: Path) -> None:
    quality = make_decision(gate=Gate.QUALITY)
    ended = report(context.dossier).model_copy(
        update={"outcome": Outcome.AWAITING_APPROVAL, "decisions": (quality,)}
    )
    context.dossier.write_request(request("run-1"))
    context.dossier.write_report(ended)
    context.dossier.finish("run-1")

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
    subject = subject_of(quality)
    kept = read_approval(tmp_path, subject)
    assert kept is not None and kept.approved, "the answer that could not be entered does not count"
