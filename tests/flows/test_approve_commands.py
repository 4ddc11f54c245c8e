"""`lorafirst approve` and `deny`: what counts is recorded, and what would not count is refused at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.key_roles import KeyRole
from data_contracts.records.decision import Gate, Outcome
from data_contracts.records.ledger import EntryKind
from data_contracts.records.statements import Keyring
from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tasks.evidence.approvals import read_approval, verify_approval
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key
from tests.data_contracts.test_permit import make_decision
from tests.flows.conftest import small_settings
from tests.tasks.evidence.made import finish
from tests.tasks.evidence.test_dossier import report, request

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Office:
    """Runs that wait, and the keys of who may answer."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def key(self, name: str, role: KeyRole = KeyRole.APPROVER, password: str | None = None) -> Path:
        begin = NOW - timedelta(days=1)
        secret, _ = create_key(self.folder / "keys", name=name, role=role, password=password, now=begin)
        return secret

    def pin(self, *names: str) -> Path:
        rings = [read_keyring(self.folder / "keys" / f"{name}.keyring.yaml") for name in names]
        keyring = Keyring(keys=tuple(entry for ring in rings for entry in ring.keys))
        path = self.folder / "keyring.yaml"
        path.write_text(yaml.safe_dump(keyring.model_dump(mode="json")), encoding="utf-8")
        return path

    def answer(self, word: str, *options: str) -> Any:
        return CliRunner().invoke(app, [word, "run-1", "-o", str(self.runs), *options])

    def answers(self) -> list[tuple[str, str]]:
        if not (self.runs / FILE).exists():
            return []
        with open_ledger(str(self.runs / FILE), read_only=True) as ledger:
            return [
                (entry.kind.value, entry.about)
                for entry in ledger.entries()
                if entry.kind in (EntryKind.APPROVAL, EntryKind.DENIAL)
            ]

    def kept(self) -> bytes:
        (file,) = (self.runs / ".approvals").iterdir()
        return file.read_bytes()


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Office]:
    for name in ("LORAFIRST_KEYRING", "LORAFIRST_LEDGER", "LORAFIRST_KEY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def wait(rule: str) -> Office:
        """Somebody's run that waits under a policy that asks for this kind of answer."""
        dossier = Dossier(tmp_path / "runs" / "run-1")
        dossier.folder.mkdir(parents=True)
        settings = small_settings(tmp_path / "rows.jsonl", policy={"escalation": {"approval": rule}})
        dossier.write_request(request("run-1").model_copy(update={"settings": settings}))
        decisions = (make_decision(gate=Gate.QUALITY),)
        ended = {"outcome": Outcome.AWAITING_APPROVAL, "decisions": decisions}
        dossier.write_report(report(dossier).model_copy(update=ended))
        finish(dossier)
        return Office(tmp_path)

    return wait


def test_an_answer_is_signed_and_verifies(
    waiting: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = waiting("signed")
    key = office.key("ada", password="secret")
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "secret")
    monkeypatch.setenv("LORAFIRST_KEYRING", str(office.pin("ada")))
    told = office.answer("approve", "--key", str(key), "--reason", "launch in May")
    assert told.exit_code == 0, told.output
    assert "Recorded, signed by ada: approved." in told.output
    kept = read_approval(office.kept())
    assert (kept.approved, kept.name, kept.key, kept.requested_by) == (True, "ada", "ada", "somebody")
    assert abs(datetime.fromisoformat(kept.answered_at) - datetime.now(UTC)) < timedelta(minutes=10)
    verify_approval(kept, office.kept(), read_keyring(office.folder / "keyring.yaml"), NOW)
    # A denial is kept alike, and is the last.
    told = office.answer("deny", "--key", str(key), "--name", "Ada Lovelace", "--reason", "over budget")
    assert told.exit_code == 0 and "signed by ada: denied" in told.output
    denied = read_approval(office.kept())
    assert (denied.approved, denied.name, denied.key) == (False, "Ada Lovelace", "ada")
    assert office.answers() == [("approval", kept.digest()), ("denial", denied.digest())]


def test_one_that_is_only_recorded_says_so(waiting: Callable[[str], Office]) -> None:
    office = waiting("recorded")
    told = office.answer("approve", "--name", "Ada", "--reason", "launch in May")
    assert told.exit_code == 0 and "Recorded, not signed: approved." in told.output
    assert read_approval(office.kept()).key is None


def refused(office: Office, *options: str) -> str:
    before = office.answers()
    told = office.answer("approve", *options)
    assert told.exit_code == EXIT_INPUT, told.output
    assert office.answers() == before and not (office.runs / ".approvals").exists()
    return str(told.output)


def test_where_the_policy_asks_for_a_signature_a_name_is_not_enough(
    waiting: Callable[[str], Office],
) -> None:
    told = refused(waiting("signed"), "--name", "Ada", "--reason", "due")
    assert "asks for signed answers" in told and "lorafirst keys new --role approver" in told


def test_a_key_that_would_not_count_is_refused(
    waiting: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = waiting("signed")
    ada, eve = (str(office.key(name)) for name in ("ada", "eve"))
    pipeline = str(office.key("pipeline", KeyRole.PIPELINE))
    assert "LORAFIRST_KEYRING" in refused(office, "--key", ada, "--reason", "due")
    monkeypatch.setenv("LORAFIRST_KEYRING", str(office.pin("ada", "pipeline")))
    assert "a key that is not in it" in refused(office, "--key", eve, "--reason", "due")
    assert "pipeline, of the role pipeline" in refused(office, "--key", pipeline, "--reason", "due")
    ring = read_keyring(office.folder / "keyring.yaml").model_dump(mode="json")
    ring["keys"][0]["valid_until"] = (NOW - timedelta(hours=1)).isoformat()
    (office.folder / "keyring.yaml").write_text(yaml.safe_dump(ring), encoding="utf-8")
    assert "ada, of the role approver, valid from" in refused(office, "--key", ada, "--reason", "due")


def test_who_asked_cannot_answer_by_name_or_key_and_everything_is_told_at_once(
    waiting: Callable[[str], Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = waiting("recorded")
    own = str(office.key("somebody"))
    monkeypatch.setenv("LORAFIRST_KEYRING", str(office.pin("somebody")))
    told = refused(office, "--name", "SOMEBODY", "--reason", " ")
    assert "--name" in told and "--reason" in told and "other than the one who asked" in told
    told = refused(office, "--key", own, "--name", "Ada", "--reason", "due")
    assert "--key" in told and "other than the one who asked" in told
    assert "--name" in refused(office, "--reason", "due")


@pytest.mark.parametrize("word", ["approve", "deny"])
def test_help_has_examples_of_both_kinds(word: str) -> None:
    told = CliRunner().invoke(app, [word, "--help"], env={"COLUMNS": "200"}).output
    assert f"lorafirst {word} trec6-20261122 --name" in told and "--key ada.key" in told
