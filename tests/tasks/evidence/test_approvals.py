"""An answer is found by what it answers, if the ledger holds it, it is the last, and its signature holds."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.key_roles import KeyRole
from data_contracts.records.base import canonical_json
from data_contracts.records.ledger import EntryKind, LedgerEntry
from data_contracts.records.pilots import Approval
from data_contracts.records.statements import APPROVAL_PREDICATE, Keyring
from tasks.evidence.approvals import Answer, find_answer, first_asked, read_approval, write_approval
from tasks.evidence.ledger.book import Ledger, open_ledger
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tests.tasks.decisions.conftest import DIGEST, answer
from tests.tasks.evidence.test_redeeming import NOW, make_key

OTHER = "sha256:" + "1" * 64


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def give(output: Path, ledger: Ledger, given: Approval, signer: Any = None, run_id: str = "run-1") -> bytes:
    """As `lorafirst approve` does."""
    envelope = stated(given, signer)
    kind = EntryKind.APPROVAL if given.approved else EntryKind.DENIAL
    ledger.append(kind, run_id=run_id, about=given.digest(), actor=given.name)
    write_approval(output, given, envelope)
    return envelope


def stated(given: Approval, signer: Any = None) -> bytes:
    return envelope_bytes(sign_statement(given, {"question": given.subject}, APPROVAL_PREDICATE, signer))


def last_entry(ledger: Ledger) -> LedgerEntry:
    return list(ledger.entries())[-1]


def test_a_question_was_asked_when_it_was_asked_first(ledger: Ledger) -> None:
    assert first_asked(ledger, DIGEST) is None
    first = ledger.append(EntryKind.QUESTION, run_id="run-1", about=DIGEST, actor="gate escalation")
    ledger.append(EntryKind.QUESTION, run_id="run-2", about=DIGEST, actor="gate escalation")
    ledger.append(EntryKind.APPROVAL, run_id="run-1", about=OTHER, actor="Ada")
    assert first_asked(ledger, DIGEST) == first.at
    assert first_asked(ledger, OTHER) is None


def test_it_is_found_by_what_it_answers(tmp_path: Path, ledger: Ledger) -> None:
    assert find_answer(tmp_path, DIGEST, ledger, None) == Answer()
    for given in (answer(), answer(approved=False)):
        envelope = give(tmp_path, ledger, given)
        assert find_answer(tmp_path, DIGEST, ledger, None) == Answer(
            given, None, envelope, entered_at=last_entry(ledger).at
        )
        assert read_approval(envelope) == given
    assert find_answer(tmp_path, OTHER, ledger, None) == Answer()


def unusable(output: Path, ledger: Ledger, keyring: Keyring | None = None) -> str:
    found = find_answer(output, DIGEST, ledger, keyring)
    assert found.approval is None and found.signed_by is None and found.unusable is not None
    return found.unusable


def test_one_that_the_ledger_does_not_hold_is_none(tmp_path: Path, ledger: Ledger) -> None:
    given = answer()
    write_approval(tmp_path, given, stated(given))
    assert "holds no approval like it" in unusable(tmp_path, ledger)
    # A denial that somebody turned round.
    give(tmp_path, ledger, answer(approved=False))
    write_approval(tmp_path, given, stated(given))
    assert "holds no approval like it" in unusable(tmp_path, ledger)
    ledger.append(EntryKind.DENIAL, run_id="run-1", about=given.digest(), actor="me")
    assert "holds no approval like it" in unusable(tmp_path, ledger)


def test_one_that_was_taken_back_does_not_come_again(tmp_path: Path, ledger: Ledger) -> None:
    allowed = answer()
    envelope = give(tmp_path, ledger, allowed)
    give(tmp_path, ledger, answer(approved=False))
    write_approval(tmp_path, allowed, envelope)
    assert "it was followed by another answer, entry 2 of the ledger" in unusable(tmp_path, ledger)
    # To another run's question it was no answer.
    give(tmp_path, ledger, answer(approved=True, reason="anew"))
    give(tmp_path, ledger, answer(subject=OTHER), run_id="run-2")
    assert find_answer(tmp_path, DIGEST, ledger, None).approval is not None


@pytest.mark.parametrize("content", [b"", b"{}", answer().canonical_json(), stated(answer())[:-9]])
def test_what_is_no_statement_of_an_answer_is_none(tmp_path: Path, ledger: Ledger, content: bytes) -> None:
    give(tmp_path, ledger, answer())
    (file,) = (tmp_path / ".approvals").iterdir()
    file.write_bytes(content)
    assert "no DSSE envelope" in unusable(tmp_path, ledger)


def test_whose_signature_it_bears_is_verified(tmp_path: Path, ledger: Ledger) -> None:
    signer, keyring = make_key(tmp_path / "ada", "ada", KeyRole.APPROVER)
    given = answer(key="ada")
    envelope = give(tmp_path, ledger, given, signer)
    at = last_entry(ledger).at
    assert find_answer(tmp_path, DIGEST, ledger, keyring) == Answer(given, "ada", envelope, entered_at=at)
    # Nobody who has no keyring knows.
    assert find_answer(tmp_path, DIGEST, ledger, None) == Answer(given, None, envelope, entered_at=at)
    unsigned = answer()
    give(tmp_path, ledger, unsigned)
    assert find_answer(tmp_path, DIGEST, ledger, keyring).signed_by is None


def test_a_signature_that_does_not_count_makes_it_none(tmp_path: Path, ledger: Ledger) -> None:
    ada, approvers = make_key(tmp_path / "ada", "ada", KeyRole.APPROVER)
    eve, _ = make_key(tmp_path / "eve", "eve", KeyRole.APPROVER)
    pipeline, pipelines = make_key(tmp_path / "pipeline", "pipeline", KeyRole.PIPELINE)
    keyring = Keyring(keys=(*approvers.keys, *pipelines.keys))
    over = approvers.keys[0].model_copy(
        update={"valid_from": NOW - timedelta(days=9), "valid_until": NOW - timedelta(days=1)}
    )
    cases = (
        ("ada", eve, keyring, "is not in the keyring"),
        ("eve", eve, keyring, "the keyring has no key eve"),
        ("pipeline", pipeline, keyring, "has the role pipeline, and approver is needed"),
        ("ada", None, keyring, "it has no signature"),
        # It claims to have been given while the key still counted.
        ("ada", ada, Keyring(keys=(over,)), "and not at"),
    )
    for key, signer, pinned, told in cases:
        given = answer(key=key, answered_at=(NOW - timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        give(tmp_path, ledger, given, signer)
        assert told in unusable(tmp_path, ledger, pinned), key


def test_an_edited_one_does_not_verify(tmp_path: Path, ledger: Ledger) -> None:
    """Whoever turns a denial round enters what came of it too; the signature is what is left."""
    signer, keyring = make_key(tmp_path / "ada", "ada", KeyRole.APPROVER)
    denied = answer(approved=False, key="ada")
    document = json.loads(give(tmp_path, ledger, denied, signer))
    statement = json.loads(base64.b64decode(document["payload"]))
    statement["predicate"]["approved"] = True
    document["payload"] = base64.b64encode(canonical_json(statement)).decode()
    turned = denied.model_copy(update={"approved": True})
    ledger.append(EntryKind.APPROVAL, run_id="run-1", about=turned.digest(), actor="Ada")
    write_approval(tmp_path, turned, canonical_json(document))
    assert "the signature of ada is bad" in unusable(tmp_path, ledger, keyring)
