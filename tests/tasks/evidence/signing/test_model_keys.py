"""Folders of models, signed for the tool that others check them with."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from tasks.evidence.signing.model_keys import create_model_key, sign_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "pilot" / "adapter"
    (folder / "inner").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    (folder / "inner" / "config.json").write_text("{}", encoding="utf-8")
    return folder


def checked(model: Path, public: Path) -> "subprocess.CompletedProcess[str]":
    """By the command of model-signing alone."""
    command = [str(Path(sys.executable).with_name("model_signing")), "verify", "key", str(model)]
    options = ["--signature", str(model.parent / "model.sig"), "--public_key", str(public)]
    return subprocess.run([*command, *options], capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("password", [None, "geheim"])
def test_a_signed_model_is_verified_by_the_tool_itself(
    password: str | None, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, public = create_model_key(tmp_path / "keys", name="models", password=password)
    assert secret.stat().st_mode & 0o777 == 0o600
    if password:
        monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", password)
    assert sign_model(model, secret) == model.parent / "model.sig"
    good = checked(model, public)
    assert good.returncode == 0, good.stdout + good.stderr
    assert sorted(path.name for path in model.parent.iterdir()) == ["adapter", "model.sig"]
    (model / "adapter_model.safetensors").write_bytes(b"others" * 1000)
    assert checked(model, public).returncode != 0
    (model / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    _, other = create_model_key(tmp_path / "keys", name="other", password=None)
    assert checked(model, other).returncode != 0


def test_a_key_that_cannot_sign_models_is_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = create_model_key(tmp_path, name="models", password="geheim")
    with pytest.raises(InputError, match="P-256") as missing:
        sign_model(model, secret)
    assert "LORAFIRST_KEY_PASSWORD" in str(missing.value)
    monkeypatch.setenv("LORAFIRST_KEY_PASSWORD", "wrong")
    with pytest.raises(InputError, match="P-256"):
        sign_model(model, secret)
    (tmp_path / "text.key").write_text("no key", encoding="utf-8")
    with pytest.raises(InputError, match="P-256"):
        sign_model(model, tmp_path / "text.key")
    with pytest.raises(InputError, match="No such file"):
        sign_model(model, tmp_path / "nothing.key")
    assert not (model.parent / "model.sig").exists()
    with pytest.raises(InputError, match="no key lies yet"):
        create_model_key(tmp_path, name="models", password=None)
