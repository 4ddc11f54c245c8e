"""Which runs wait for an answer, and until when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.decision import Gate, Outcome
from data_contracts.records.ledger import EntryKind
from tasks.audit.approval import answer_escalation
from tasks.audit.waiting import comes_too_late, waiting_runs
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import FILE, open_ledger
from tests.data_contracts.test_permit import make_decision
from tests.flows.conftest import small_settings
from tests.tasks.evidence.made import finish
from tests.tasks.evidence.test_dossier import report, request


@pytest.fixture(autouse=True)
def own_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LORAFIRST_KEYRING", "LORAFIRST_LEDGER"):
        monkeypatch.delenv(name, raising=False)


def ended(output: Path, run_id: str, outcome: Outcome, *, days: float = 14.0, asks: bool = True) -> Dossier:
    """A run of the same settings as the others that ended so; one that waits has entered its question."""
    dossier = Dossier(output / run_id)
    dossier.folder.mkdir(parents=True)
    rules = {"approval": "recorded", "approval_expires_days": days}
    settings = small_settings(output / "rows.jsonl", policy={"escalation": rules})
    dossier.write_request(request(run_id).model_copy(update={"settings": settings}))
    quality = make_decision(gate=Gate.QUALITY)
    changes = {"outcome": outcome, "decisions": (quality,)}
    dossier.write_report(report(dossier).model_copy(update=changes))
    finish(dossier)
    if asks:
        with open_ledger(str(output / FILE)) as ledger:
            ledger.append(
                EntryKind.QUESTION, run_id=run_id, about=subject_of(quality), actor="gate escalation"
            )
    return dossier


def test_a_run_waits_until_it_is_answered_or_too_late(tmp_path: Path) -> None:
    assert waiting_runs(tmp_path) == ()
    dossier = ended(tmp_path, "run-1", Outcome.AWAITING_APPROVAL)
    (waiting,) = waiting_runs(tmp_path)
    assert waiting.request.run_id == "run-1" and waiting.answer is None and not waiting.expired
    assert waiting.expires_at is not None
    assert abs(waiting.expires_at - datetime.now(UTC) - timedelta(days=14)) < timedelta(minutes=10)
    assert not comes_too_late(tmp_path, dossier)
    answer = answer_escalation(tmp_path, "run-1", approved=True, name="Ada", reason="due")
    (waiting,) = waiting_runs(tmp_path)
    assert waiting.answer == answer.digest()


def test_the_time_begins_when_the_question_was_first_asked(tmp_path: Path) -> None:
    ended(tmp_path, "run-1", Outcome.AWAITING_APPROVAL, days=1e-7)
    dossier = ended(tmp_path, "run-2", Outcome.AWAITING_APPROVAL, days=1e-7)
    (waiting,) = waiting_runs(tmp_path)
    assert waiting.expired and comes_too_late(tmp_path, dossier)
    with open_ledger(str(tmp_path / FILE)) as ledger:
        first = next(ledger.entries("run-1")).at
    assert waiting.expires_at is not None
    assert waiting.expires_at - datetime.fromisoformat(first) < timedelta(seconds=1)


def test_where_nobody_entered_the_question_nothing_expires(tmp_path: Path) -> None:
    dossier = ended(tmp_path, "run-1", Outcome.AWAITING_APPROVAL, asks=False)
    (waiting,) = waiting_runs(tmp_path)
    assert waiting.expires_at is None and not waiting.expired and not comes_too_late(tmp_path, dossier)


def test_a_run_that_has_been_started_again_waits_no_longer(tmp_path: Path) -> None:
    ended(tmp_path, "run-1", Outcome.AWAITING_APPROVAL)
    ended(tmp_path, "run-2", Outcome.ESCALATION_DENIED, asks=False)
    assert waiting_runs(tmp_path) == ()


def test_other_outcomes_and_damaged_dossiers_are_passed_over(tmp_path: Path) -> None:
    ended(tmp_path, "run-1", Outcome.PILOT_ACCEPTED, asks=False)
    (tmp_path / "run-0").mkdir()
    (tmp_path / "run-0" / "request.yaml").write_text("a: [", encoding="utf-8")
    told: list[str] = []
    assert waiting_runs(tmp_path, told.append) == ()
    assert len(told) == 1 and told[0].startswith("run-0 is passed over: ")


def test_what_cannot_be_understood_keeps_no_other_run_from_being_told(tmp_path: Path) -> None:
    """Settings of another version, and a run that waits without the decision that was asked about."""
    ended(tmp_path, "run-1", Outcome.AWAITING_APPROVAL)
    for name, digit in (("run-2", "2"), ("run-3", "3")):
        dossier = ended(tmp_path, name, Outcome.AWAITING_APPROVAL)
        changes = {"settings": {"a_key_of_tomorrow": 1}} if name == "run-2" else {}
        other = {"settings_digest": f"sha256:{digit * 64}"}
        dossier.write_request(dossier.request().model_copy(update={**other, **changes}))
    kept = dossier.report()
    assert kept is not None
    dossier.write_report(kept.model_copy(update={"decisions": ()}))
    told: list[str] = []
    assert [each.request.run_id for each in waiting_runs(tmp_path, told.append)] == ["run-1"]
    assert "run-3 waits without a decision" in told[0] and "a_key_of_tomorrow" in told[1]
    with pytest.raises(ArtifactDamagedError):
        comes_too_late(tmp_path, Dossier(tmp_path / "run-2"))
