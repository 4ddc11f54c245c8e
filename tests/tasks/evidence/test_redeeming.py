"""A permit counts once a seed, where it was issued, by whom it was issued, and until it expires."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import PermitRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import canonical_json, utc_time
from data_contracts.records.decision import Gate, Verdict
from data_contracts.records.ledger import EntryKind
from data_contracts.records.permit import Permit, PermitIssuer, Redemption
from data_contracts.records.statements import PERMIT_PREDICATE, Keyring
from tasks.evidence import redeeming
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import Ledger, open_ledger
from tasks.evidence.redeeming import Redeemed, Work, may_be_used_again, redeem
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key, load_signer
from tests.data_contracts.test_permit import OTHER, make_decision, make_permit
from tests.tasks.evidence.ledger.conftest import location as location
from tests.tasks.evidence.redeeming_once import work_of

ROOT = Path(__file__).parents[3]
ONE, ANOTHER = (f"sha256:{digit * 64}" for digit in "ab")
NOW = datetime.now(UTC)


def work(**changes: Any) -> Work:
    return work_of(make_permit(), **{"seed": 17, "training": ONE, **changes})


def make_key(folder: Path, name: str = "pipeline", role: KeyRole = KeyRole.PIPELINE) -> tuple[Any, Keyring]:
    """A key that has counted since yesterday."""
    begin = NOW - timedelta(days=1)
    secret, public = create_key(folder, name=name, role=role, password=None, now=begin)
    return load_signer(secret, None), read_keyring(public)


def stated(permit: Permit, signer: Any = None) -> bytes:
    return envelope_bytes(sign_statement(permit, {"snapshot": permit.snapshot}, PERMIT_PREDICATE, signer))


def enter(ledger: Ledger, permit: Permit, run_id: str = "run-1") -> None:
    ledger.append(EntryKind.PERMIT_ISSUED, run_id=run_id, about=permit.digest(), actor="gate escalation")


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with open_ledger(str(tmp_path / "ledger.sqlite")) as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path) -> KeptPermits:
    return KeptPermits(tmp_path / "kept")


@pytest.fixture
def refused(ledger: Ledger, kept: KeptPermits) -> Callable[..., list[str]]:
    """What is told of a redemption that must be refused, and must leave nothing."""

    def ask(envelope: bytes, trusted: Keyring | None = None, **changes: Any) -> list[str]:
        before = redemptions(ledger)
        with pytest.raises(PermitRefusedError) as caught:
            redeem(ledger, kept, envelope, work(**changes), trusted)
        assert redemptions(ledger) == before
        return [line[4:] for line in str(caught.value).splitlines() if line.startswith("  - ")]

    return ask


def redemptions(ledger: Ledger) -> list[str]:
    return [entry.about for entry in ledger.entries() if entry.kind is EntryKind.PERMIT_REDEEMED]


def test_it_is_redeemed_once_a_training(ledger: Ledger, kept: KeptPermits) -> None:
    permit = make_permit()
    enter(ledger, permit)
    first = redeem(ledger, kept, stated(permit), work(), None)
    assert first == redeem(ledger, kept, stated(permit), work(), None)
    other_seed = redeem(ledger, kept, stated(permit), work(seed=18), None)
    expected = Redemption(permit=permit.digest(), run_id="run-1", seed=17, training=ONE)
    assert first == Redeemed(permit, expected)
    assert redemptions(ledger) == [expected.digest(), other_seed.redemption.digest()]
    assert kept.redemption(expected.digest()) == expected


def test_a_seed_is_redeemed_for_one_training(
    ledger: Ledger, kept: KeptPermits, refused: Callable[..., list[str]]
) -> None:
    permit = make_permit()
    enter(ledger, permit)
    redeem(ledger, kept, stated(permit), work(), None)
    (told,) = refused(stated(permit), training=ANOTHER)
    assert told == f"seed 17 was redeemed for the training {ONE}, and this is the training {ANOTHER}"
    (told,) = refused(stated(permit), seed=19)
    assert told == "it is for seed 17, 18, and this is seed 19"


def test_another_permit_of_the_run_is_another_permit(ledger: Ledger, kept: KeptPermits) -> None:
    """As after an expiry: the gate has decided anew, and the same seed is trained under the new one."""
    first, second = make_permit(), make_permit(price_processor_hours=3.0)
    for permit in (first, second):
        enter(ledger, permit)
        redeem(ledger, kept, stated(permit), work(training=ANOTHER if permit is second else ONE), None)
    assert len(redemptions(ledger)) == 2


OTHER_WORK = {
    "run_id": ("run-2", "it is for run run-1, and this is run run-2"),
    "snapshot": (OTHER, "it is for snapshot"),
    "base_model": (OTHER, "it is for base model"),
    "policy": (OTHER, "it is for policy"),
    "rung": ("layers", "it is for method full, and this is method layers"),
    "seed": (5, "this is seed 5"),
}


@pytest.mark.parametrize("name", OTHER_WORK)
def test_it_covers_no_other_work(ledger: Ledger, refused: Callable[..., list[str]], name: str) -> None:
    permit = make_permit()
    for run in ("run-1", "run-2"):
        enter(ledger, permit, run)
    other, told = OTHER_WORK[name]
    assert any(told in fault for fault in refused(stated(permit), **{name: other}))


def test_everything_is_told_at_once(refused: Callable[..., list[str]], tmp_path: Path) -> None:
    _, keyring = make_key(tmp_path)
    permit = make_permit(
        issuer="laboratory",
        expires_at="2026-01-02T00:00:00.000000Z",
        issued_at="2026-01-01T00:00:00.000000Z",
        decision=make_decision(gate=Gate.NEED, verdict=Verdict.FAIL),
    )
    told = refused(stated(permit), keyring, run_id="run-2", snapshot=OTHER, seed=5)
    for word in (
        "issued by the laboratory",
        "was issued for this run by the ledger",
        "it has no signature",
        "this is run run-2",
        "it is for snapshot",
        "this is seed 5",
        "of the need gate",
        "says fail",
        "it expired at 2026-01-02",
    ):
        assert any(word in fault for fault in told), word


def test_a_benchmarks_is_refused_though_it_stands_in_the_ledger(
    ledger: Ledger, refused: Callable[..., list[str]]
) -> None:
    permit = make_permit(issuer=PermitIssuer.LABORATORY)
    enter(ledger, permit)
    assert refused(stated(permit)) == ["it was issued by the laboratory, not by the escalation gate"]


def test_one_that_this_ledger_has_not_issued_to_this_run_is_refused(
    ledger: Ledger, kept: KeptPermits, refused: Callable[..., list[str]], tmp_path: Path
) -> None:
    permit = make_permit()
    (told,) = refused(stated(permit))
    assert "was issued for this run by the ledger" in told and str(tmp_path / "ledger.sqlite") in told
    with open_ledger(str(tmp_path / "somebody-elses.sqlite")) as other:
        enter(other, permit)
        redeem(other, KeptPermits(tmp_path / "other"), stated(permit), work(), None)
    assert refused(stated(permit)) == [told]
    enter(ledger, permit, "run-2")
    assert refused(stated(permit)) == [told]
    # As something else it does not count either.
    ledger.append(EntryKind.DECISION, run_id="run-1", about=permit.digest(), actor="me")
    assert refused(stated(permit)) == [told]


EDITS: dict[str, Any] = {
    "price_processor_hours": 0.0,
    "seeds": [17, 18, 19],
    "expires_at": "2100-01-01T00:00:00.000000Z",
    "run_id": "run-2",
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_one_is_another_one(ledger: Ledger, refused: Callable[..., list[str]], name: str) -> None:
    """Of nobody's signature, so that the ledger alone finds it."""
    permit = make_permit()
    enter(ledger, permit)
    edited = stated(Permit.model_validate({**permit.model_dump(mode="json"), name: EDITS[name]}))
    assert any("was issued for this run by the ledger" in fault for fault in refused(edited))


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_envelope_does_not_verify(
    ledger: Ledger, refused: Callable[..., list[str]], tmp_path: Path, name: str
) -> None:
    """Whoever edits it enters what came of it in the ledger too; the signature is what is left."""
    signer, keyring = make_key(tmp_path)
    document = json.loads(stated(make_permit(), signer))
    statement = json.loads(base64.b64decode(document["payload"]))
    statement["predicate"][name] = EDITS[name]
    edited = Permit.model_validate(statement["predicate"])
    enter(ledger, edited)
    document["payload"] = base64.b64encode(canonical_json(statement)).decode()
    told = refused(json.dumps(document).encode(), keyring, seed=18)
    assert any("signature of pipeline is bad" in fault for fault in told)


def test_who_trusts_keys_takes_nothing_that_they_did_not_sign(
    ledger: Ledger, kept: KeptPermits, refused: Callable[..., list[str]], tmp_path: Path
) -> None:
    signer, keyring = make_key(tmp_path / "ours")
    stranger, _ = make_key(tmp_path / "theirs")
    approver, approvers = make_key(tmp_path / "person", "ada", KeyRole.APPROVER)
    both = Keyring(keys=(*keyring.keys, *approvers.keys))
    permit = make_permit()
    enter(ledger, permit)
    assert refused(stated(permit), keyring) == ["it has no signature"]
    assert any("is not in the keyring" in fault for fault in refused(stated(permit, stranger), keyring))
    (told,) = refused(stated(permit, approver), both)
    assert told == "key ada has the role approver, and pipeline is needed"
    redeem(ledger, kept, stated(permit, signer), work(), both)
    assert len(redemptions(ledger)) == 1


def test_the_key_must_have_counted_when_the_ledger_says_that_it_was_issued(
    ledger: Ledger, refused: Callable[..., list[str]], tmp_path: Path
) -> None:
    signer, keyring = make_key(tmp_path)
    over = keyring.keys[0].model_copy(
        update={"valid_from": NOW - timedelta(days=9), "valid_until": NOW - timedelta(days=1)}
    )
    # It claims to have been issued while its key still counted.
    permit = make_permit(issued_at=utc_time(NOW - timedelta(days=2)))
    enter(ledger, permit)
    (told,) = refused(stated(permit, signer), Keyring(keys=(over,)))
    assert "key pipeline is valid from" in told


def test_it_expires_but_not_for_what_has_begun(
    ledger: Ledger, kept: KeptPermits, refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    permit = make_permit(expires_at=utc_time(NOW + timedelta(hours=1)))
    enter(ledger, permit)
    begun = redeem(ledger, kept, stated(permit), work(), None)
    at(monkeypatch, NOW + timedelta(hours=2))
    assert redeem(ledger, kept, stated(permit), work(), None) == begun
    (told,) = refused(stated(permit), seed=18)
    assert told.startswith(f"it expired at {permit.expires_at}")
    assert len(redemptions(ledger)) == 1


def at(monkeypatch: pytest.MonkeyPatch, time: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return time

    monkeypatch.setattr(redeeming, "datetime", Clock)


def test_a_redemption_whose_record_is_gone_may_have_been_this_one(
    ledger: Ledger, kept: KeptPermits, refused: Callable[..., list[str]]
) -> None:
    permit = make_permit()
    enter(ledger, permit)
    redeem(ledger, kept, stated(permit), work(), None)
    (file,) = (kept.folder / "redemptions").iterdir()
    content = file.read_bytes()
    file.unlink()
    (told,) = refused(stated(permit), training=ANOTHER)
    assert "may have been this seed" in told
    # One of another training in its place is not what the ledger names.
    file.write_bytes(content.replace(ONE.encode(), ANOTHER.encode()))
    assert refused(stated(permit), training=ANOTHER) == [told]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        make_permit().canonical_json(),
        envelope_bytes(sign_statement(make_permit(), {"x": OTHER}, "urn:lorafirst:decision:v1", None)),
        envelope_bytes(sign_statement(make_decision(), {"x": OTHER}, PERMIT_PREDICATE, None)),
    ],
)
def test_what_is_no_statement_of_a_permit_is_none(refused: Callable[..., list[str]], content: bytes) -> None:
    assert refused(content)


def test_one_of_before_is_used_again_while_it_can_be_redeemed(
    ledger: Ledger, kept: KeptPermits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, keyring = make_key(tmp_path)
    permit = make_permit(expires_at=utc_time(NOW + timedelta(hours=1)))

    def again(trusted: Keyring | None = None, envelope: bytes = stated(permit)) -> bool:
        return may_be_used_again(envelope, permit, tuple(ledger.entries("run-1")), kept, trusted)

    assert not again(), "it is not in the ledger"
    enter(ledger, permit)
    assert again()
    assert not again(keyring), "it is unsigned, and somebody trusts keys by now"
    assert again(keyring, stated(permit, signer))
    redeem(ledger, kept, stated(permit), work(seed=17), None)
    at(monkeypatch, NOW + timedelta(hours=2))
    assert not again(), "it has expired with a seed left"
    at(monkeypatch, NOW)
    redeem(ledger, kept, stated(permit), work(seed=18), None)
    at(monkeypatch, NOW + timedelta(hours=2))
    assert again(), "all that it covers has begun"


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False], ids=["one training", "as many trainings as processes"])
def test_processes_that_redeem_at_once_make_one_entry(
    location: str, kept: KeptPermits, same: bool, tmp_path: Path
) -> None:
    permit = make_permit()
    kept.keep(stated(permit))
    with open_ledger(location) as ledger:
        enter(ledger, permit)
    trainings = [ONE if same else f"sha256:{number:064x}" for number in range(4)]
    command = [sys.executable, "-m", "tests.tasks.evidence.redeeming_once", location, str(kept.folder)]
    processes = [
        subprocess.Popen(
            [*command, "17", training],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for training in trainings
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    (kept.folder / "go").touch()
    outputs = [process.communicate()[0] for process in processes]
    words = [output.split()[0] for output in outputs]
    with open_ledger(location, read_only=True) as ledger:
        assert ledger.check()[1] == ()
        assert len(redemptions(ledger)) == 1
    assert words.count("redeemed") == (len(processes) if same else 1)
    assert all("was redeemed for the training" in output for output in outputs if "refused" in output)
