"""A run that could not sign what it must sign is refused before it reads anything."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from data_contracts.key_roles import KeyRole
from data_contracts.records.settings import RunSettings
from tasks.evidence.signing.keys import create_key
from tasks.evidence.signing.model_keys import create_model_key
from tasks.stages.signatures import require_signers

NOW = datetime.now(UTC)


def settings_of(folder: Path, signatures: str) -> RunSettings:
    return RunSettings.model_validate(
        {
            "name": "small",
            "task": "classification",
            "model": {"source": "some/model"},
            "data": {"source": "rows.jsonl"},
            "policy": {
                "metric": "accuracy",
                "target": 0.5,
                "margin": 0.05,
                "record": {"signatures": signatures},
            },
            "output": folder / "runs",
        }
    )


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEYRING", "SIGNING_KEY", "SIGNING_KEY_FILE", "KEY_PASSWORD"):
        monkeypatch.delenv(f"LORAFIRST_{name}", raising=False)


def key(
    folder: Path, name: str = "pipeline", role: KeyRole = KeyRole.PIPELINE, days: int = 0
) -> tuple[str, str]:
    begin = NOW - timedelta(days=days, hours=1)
    secret, public = create_key(folder / "keys", name=name, role=role, password="secret", now=begin)
    return str(secret), str(public)


def told(settings: RunSettings) -> str:
    with pytest.raises(InputError) as caught:
        require_signers(settings)
    return str(caught.value)


def test_only_who_asks_for_signatures_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_signers(settings_of(tmp_path, "optional"))
    required = settings_of(tmp_path, "required")
    said = told(required)
    assert "lorafirst keys new" in said and "LORAFIRST_SIGNING_KEY_FILE=" in said
    secret, _ = key(tmp_path)
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", secret)
    assert "none was given" in told(required), "a key that cannot be used is no key"
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "secret")
    require_signers(required)


def test_who_pins_a_keyring_signs_with_a_key_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the permit would be refused, when everything before full fine-tuning has been paid for."""
    optional = settings_of(tmp_path, "optional")
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "secret")
    secret, public = key(tmp_path)
    monkeypatch.setenv("LORAFIRST_KEYRING", public)
    said = told(optional)
    assert "LORAFIRST_KEYRING" in said and "lorafirst keys new" in said and "unset" in said
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", secret)
    require_signers(optional)
    for name, role, days, found in (
        ("stranger", KeyRole.PIPELINE, 0, "a key that is not in it"),
        ("ada", KeyRole.APPROVER, 0, "ada, of the role approver"),
        ("old", KeyRole.PIPELINE, 800, "old, of the role pipeline, valid from"),
    ):
        other, ring = key(tmp_path, name, role, days)
        monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", other)
        monkeypatch.setenv("LORAFIRST_KEYRING", public if name == "stranger" else ring)
        assert found in told(optional)


def test_a_key_for_models_that_cannot_sign_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORAFIRST_MODEL_KEY_FILE", str(tmp_path / "nothing.key"))
    assert "LORAFIRST_MODEL_KEY_FILE" in told(settings_of(tmp_path, "optional"))
    secret, _ = create_model_key(tmp_path, name="models", password=None)
    monkeypatch.setenv("LORAFIRST_MODEL_KEY_FILE", str(secret))
    require_signers(settings_of(tmp_path, "optional"))
