"""A model's configuration without its weights: from a folder, a GGUF header, or the cache of either."""

import json
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from data_contracts.model_configs import converted_folder, read_model_config
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.evidence import BaseModelRecord
from tasks.decisions.forecast import shape_of
from tests.conftest import SMOLLM2


@pytest.mark.slow
def test_a_gguf_header_tells_the_same_shape_as_the_converted_model(
    smollm2: BaseModelRecord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = resolve_package_path(SMOLLM2)
    assert converted_folder(file) == Path(smollm2.folder)
    converted = shape_of(read_model_config(SMOLLM2), labels=0)
    monkeypatch.setenv("LORAFIRST_CACHE", str(tmp_path))
    assert converted_folder(file) is None
    assert shape_of(read_model_config(SMOLLM2), labels=0) == converted


@pytest.mark.parametrize("content", ["", "[]", '{"hidden_size": 3}', "{"])
def test_what_is_no_configuration_is_refused_with_its_place(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json"):
        read_model_config(str(tmp_path))


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(InputError, match="GGUF"):
        read_model_config(str(file))


def test_a_folder_gives_its_own_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    assert read_model_config(str(tmp_path)) == {"model_type": "bert"}
    with pytest.raises(InputError, match="hub id"):
        read_model_config(str(tmp_path / "no such folder"))
