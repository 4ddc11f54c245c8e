"""From what the settings call the model to a local folder of safetensors with a digest."""

import math
import os
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from data_contracts.errors import InputError
from data_contracts.hub_names import is_hub_name
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.base import FileRecord, FolderRecord, digest_file
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task

_GENERATES = re.compile("ForCausalLM|LMHead")
_WEIGHT_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


def resolve_base_model(source: str, cache: Path) -> BaseModelRecord:
    """The base model as a folder that transformers loads without network, pickle or remote code.

    A GGUF file is dequantised to 32-bit safetensors once and kept in ``cache`` under its digest.

    Raises:
        InputError: nothing by that name, or a folder without safetensors.
    """
    path = _locate(source)
    converted_from = None
    if path.is_file():
        if path.suffix != ".gguf":
            raise InputError.single(
                f"model.source {source}",
                expected="a folder with safetensors, or a .gguf file",
                found=f"the file {path.name}",
                remedy="name the folder that holds the model",
            )
        converted_from = FileRecord(path=path.name, sha256=digest_file(path), size_bytes=path.stat().st_size)
        # Other versions read tokenizers and tensors differently; each has its own conversion.
        converter = f"transformers-{version('transformers')}-gguf-{version('gguf')}"
        path = _convert_gguf(path, cache / "models" / f"{converted_from.sha256[7:23]}-{converter}")
    _require_safetensors(path, source)
    return _describe(source, path, converted_from)


def generates_text(base: BaseModelRecord) -> bool:
    """Whether the checkpoint has a language-modelling head that predicts the next token."""
    return _GENERATES.search(base.architecture) is not None


def require_room_for(base: BaseModelRecord, max_tokens: int) -> None:
    """Raises ``InputError`` if rows of ``max_tokens`` tokens are longer than the model's positions."""
    limit = base.positions
    if limit is not None and limit < max_tokens:
        raise InputError.single(
            "model.max_tokens",
            expected=f"at most {limit}, the positions that {base.architecture} has",
            found=str(max_tokens),
            remedy=f"set model.max_tokens to {limit} or less",
        )


def _config(folder: Path, source: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError.single(
            f"model.source {source}, config.json",
            expected="the configuration of a model that transformers knows, without code of its own",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            remedy="check the file, or choose another model",
        ) from error


def empty_model(folder: Path, task: Task) -> Any:
    """The model for ``task`` with its shapes alone: no weight is read, and none takes room.

    Raises:
        ValueError: transformers has no model of this configuration for the task.
    """
    import torch

    config = _config(folder, str(folder))
    with torch.device("meta"):
        return auto_class(classifies=task is Task.CLASSIFICATION).from_config(config, trust_remote_code=False)


def auto_class(*, classifies: bool) -> Any:
    """What loads a model: with a head for labels, or with the one that predicts the next token."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    return AutoModelForSequenceClassification if classifies else AutoModelForCausalLM


def _locate(source: str) -> Path:
    if source.startswith("package:"):
        return resolve_package_path(source)
    path = Path(source)
    if path.exists():
        return path
    if is_hub_name(source):
        return _download(source)
    raise InputError.single(
        f"model.source {source}",
        expected="package:NAME/PATH, a local folder or .gguf file, or a hub id such as org/name",
        found="no such folder, and not a hub id",
        remedy="check the path; it is relative to the settings file",
    )


def _download(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    name, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(_WEIGHT_FILES)))
    except (RepositoryNotFoundError, LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise InputError.single(
            f"model.source {source}",
            expected="a model that the hub has, or that is already downloaded",
            found=type(error).__name__,
            remedy="check the name and the network, or give a local folder",
        ) from error


def _convert_gguf(file: Path, folder: Path) -> Path:
    """``folder`` with the dequantised model, converted unless it is there; one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not (folder / "config.json").exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as temporary:
                finished = Path(temporary) / "finished"
                _dequantise(file, finished)
                os.replace(finished, folder)
    return folder


def _dequantise(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tasks.training.quiet import quiet_libraries

    options = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    with quiet_libraries():
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
        config = loaded.config
        # A model that came from GGUF still counts as quantised and refuses to be saved.
        del config.quantization_config
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.load_state_dict(loaded.state_dict())
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(file.parent, **options).save_pretrained(folder)
    # The tokenizer may copy the GGUF along as its vocabulary file.
    (folder / "tokenizer.model").unlink(missing_ok=True)


def _require_safetensors(folder: Path, source: str) -> None:
    if not (folder / "config.json").is_file():
        raise InputError.single(
            f"model.source {source}",
            expected="a folder with config.json",
            found="no config.json in it",
            remedy="name the folder that transformers' save_pretrained wrote",
        )
    if not any(folder.glob("*.safetensors")):
        raise InputError.single(
            f"model.source {source}",
            expected="weights as safetensors",
            found="none in the folder; pickled weights are never loaded",
            remedy="convert the weights to safetensors",
        )


def _count_parameters(file: Path, source: str) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise InputError.single(
            f"model.source {source}, {file.name}",
            expected="a whole safetensors file",
            found=str(error),
            remedy="download or copy the model again",
        ) from error
    return sum(math.prod(shape) for shape in shapes)


def _describe(source: str, folder: Path, converted_from: FileRecord | None) -> BaseModelRecord:
    config = _config(folder, source)
    parameters = sum(_count_parameters(file, source) for file in folder.glob("*.safetensors"))
    return BaseModelRecord(
        source=source,
        folder=str(folder.resolve()),
        weights=FolderRecord.of(folder),
        architecture=(config.architectures or [type(config).__name__])[0],
        parameters=parameters,
        layers=_dimension(config, "num_hidden_layers"),
        width=_dimension(config, "hidden_size"),
        vocabulary=_dimension(config, "vocab_size"),
        positions=_dimension(config, "max_position_embeddings") or None,
        converted_from=converted_from,
    )


def _dimension(config: Any, name: str) -> int:
    """0 where the configuration has no such number, as those of models for other things than text."""
    value = getattr(config, name, None)
    return value if isinstance(value, int) else 0
