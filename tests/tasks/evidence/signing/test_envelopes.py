"""Keys, keyrings and envelopes: what verifies, and every way in which it must not."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey
from typer.testing import CliRunner

from data_contracts.errors import EnvelopeRefusedError, InputError
from data_contracts.key_roles import KeyRole
from data_contracts.records.ledger import Fault
from data_contracts.records.statements import PAYLOAD_TYPE, Keyring
from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tasks.evidence.signing.envelopes import envelope_bytes, read_envelope, sign_statement, verify_envelope
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key, load_signer

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
RECORD = Fault(error="Ünusual", message="1 < 2")
PREDICATE = "urn:lorafirst:test:v1"

Key = tuple[CryptoSigner, Keyring]


def make(folder: Path, name: str = "pipeline", role: KeyRole = KeyRole.PIPELINE) -> Key:
    secret, public = create_key(folder, name=name, role=role, password=None, now=NOW)
    return load_signer(secret, None), read_keyring(public)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return make(tmp_path)


def signed(signer: CryptoSigner) -> Envelope:
    return sign_statement(RECORD, {"decision": DIGEST}, PREDICATE, signer)


def refused(envelope: Envelope, keyring: Keyring, at: datetime = NOW) -> tuple[str, ...]:
    with pytest.raises(EnvelopeRefusedError) as caught:
        verify_envelope(envelope, keyring, KeyRole.PIPELINE, at)
    return caught.value.faults


def test_what_was_signed_comes_back(key: Key) -> None:
    signer, keyring = key
    envelope = read_envelope(envelope_bytes(signed(signer)))
    statement = verify_envelope(envelope, keyring, KeyRole.PIPELINE, NOW)
    assert Fault.model_validate(statement.predicate) == RECORD
    document = json.loads(envelope.payload)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": "decision", "digest": {"sha256": "ab" * 32}}]
    assert document["predicateType"] == PREDICATE


def test_securesystemslib_alone_verifies_it(key: Key) -> None:
    """Nothing of ours but the bytes of the envelope and of the public key."""
    signer, keyring = key
    envelope = Envelope.from_dict(json.loads(envelope_bytes(signed(signer))))
    raw = bytes.fromhex(keyring.keys[0].public_key)
    public = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    assert list(envelope.verify([public], 1)) == [public.keyid]
    envelope.payload += b" "
    with pytest.raises(Exception, match="do not match threshold"):
        envelope.verify([public], 1)


def test_every_fault_is_listed_at_once(key: Key, tmp_path: Path) -> None:
    signer, _ = key
    approver, approvers = make(tmp_path, "ada", KeyRole.APPROVER)
    envelope = Envelope(b'{"b":1, "a":2}', "text/plain", {})
    envelope.sign(signer)
    envelope.sign(approver)
    faults = refused(envelope, approvers, NOW + timedelta(days=731))
    for expected in (
        "not in the keyring",
        "ada has the role approver, and pipeline is needed",
        "ada is valid from",
        "payload type is 'text/plain'",
        "not canonical JSON",
        "no in-toto statement: _type",
        "no in-toto statement: subject",
    ):
        assert any(expected in fault for fault in faults), (expected, faults)


@pytest.mark.parametrize("at", [NOW - timedelta(seconds=1), NOW + timedelta(days=730)])
def test_validity_ends_where_it_says(key: Key, at: datetime) -> None:
    signer, keyring = key
    assert "is valid from" in refused(signed(signer), keyring, at)[0]
    verify_envelope(signed(signer), keyring, KeyRole.PIPELINE, NOW + timedelta(days=730, seconds=-1))


def test_a_changed_payload_is_a_bad_signature(key: Key) -> None:
    signer, keyring = key
    envelope = signed(signer)
    envelope.payload = envelope.payload.replace(b"1 < 2", b"2 < 1")
    assert refused(envelope, keyring) == (
        "the signature of pipeline is bad: not of this content, or not by this key",
    )


def test_a_signature_under_another_s_key_id_is_bad(key: Key, tmp_path: Path) -> None:
    signer, keyring = key
    other, _ = make(tmp_path, "other")
    envelope = signed(other)
    (signature,) = envelope.signatures.values()
    signature.keyid = signer.public_key.keyid
    assert "is bad" in refused(envelope, keyring)[0]


def test_payload_that_is_signed_and_not_canonical_is_refused(key: Key) -> None:
    signer, keyring = key
    good = signed(signer)
    loose = Envelope(json.dumps(json.loads(good.payload), indent=1).encode(), PAYLOAD_TYPE, {})
    loose.sign(signer)
    assert refused(loose, keyring) == ("its payload is not canonical JSON (RFC 8785)",)


def test_a_stranger_s_signature_beside_a_good_one_does_not_matter(key: Key, tmp_path: Path) -> None:
    signer, keyring = key
    stranger, _ = make(tmp_path, "stranger")
    envelope = signed(signer)
    envelope.sign(stranger)
    verify_envelope(envelope, keyring, KeyRole.PIPELINE, NOW)
    del envelope.signatures[signer.public_key.keyid]
    assert "not in the keyring" in refused(envelope, keyring)[0]
    envelope.signatures.clear()
    assert refused(envelope, keyring) == ("it has no signature",)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"payload":"!","payloadType":"x","signatures":[]}', b"[" * 9999]
)
def test_what_is_no_envelope_is_refused_as_such(content: bytes) -> None:
    with pytest.raises(EnvelopeRefusedError, match="no DSSE envelope"):
        read_envelope(content)


def test_a_private_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    secret, public = create_key(tmp_path, name="k", role=KeyRole.PIPELINE, password=None, now=NOW)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    before = secret.read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        create_key(tmp_path, name="k", role=KeyRole.PIPELINE, password=None, now=NOW)
    assert secret.read_bytes() == before and b"PRIVATE" not in public.read_bytes()


def test_passwords(tmp_path: Path) -> None:
    secret, public = create_key(tmp_path, name="k", role=KeyRole.PIPELINE, password="s3cret", now=NOW)
    verify_envelope(signed(load_signer(secret, "s3cret")), read_keyring(public), KeyRole.PIPELINE, NOW)
    with pytest.raises(InputError, match="a wrong password"):
        load_signer(secret, "guess")
    with pytest.raises(InputError, match="needs a password, and none was given"):
        load_signer(secret, None)


def test_a_key_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    with pytest.raises(InputError, match="No such file"):
        load_signer(path, None)
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="no private key in PEM"):
        load_signer(path, "unneeded")
    curve = generate_private_key(SECP256R1())
    path.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InputError, match="a key of another kind"):
        load_signer(path, None)


def test_keyrings_say_all_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "keyring.yaml"
    with pytest.raises(InputError, match="No such file"):
        read_keyring(path)
    entry = {"name": "a", "role": "pipeline", "public_key": "0" * 64}
    entry |= {"valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"}
    wrong = {**entry, "role": "king", "public_key": "zz", "valid_from": "2026-01-01T00:00:00"}
    path.write_text(yaml.safe_dump({"keys": [wrong]}))
    with pytest.raises(InputError) as caught:
        read_keyring(path)
    assert len(caught.value.problems) == 3
    path.write_text(yaml.safe_dump({"keys": [entry, {**entry, "role": "approver"}]}))
    with pytest.raises(InputError, match="name stands there twice: a"):
        read_keyring(path)
    path.write_text("keys: !!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match="could not determine a constructor"):
        read_keyring(path)


def test_keys_new_prints_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "hunter2")
    asked = ["keys", "new", "--name", "ada", "--role", "approver", "--output", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["encrypted"] and "PRIVATE" not in result.output and "hunter2" not in result.output
    assert read_keyring(Path(made["keyring"])).keys[0].role is KeyRole.APPROVER
    assert load_signer(Path(made["private_key"]), "hunter2").public_key.keytype == "ed25519"
    assert CliRunner().invoke(app, asked).exit_code == EXIT_INPUT
    assert CliRunner().invoke(app, [*asked[:3], "../x", *asked[4:]]).exit_code == EXIT_INPUT
