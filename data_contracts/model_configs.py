"""A base model's ``config.json``, without its weights: from a folder, a GGUF file's header, or the hub."""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.hub_names import is_hub_name
from data_contracts.package_paths import PREFIX, resolve_package_path
from data_contracts.records.base import digest_file

_GGUF_TYPES = {"gemma3": "gemma3_text"}
"""Architectures that GGUF calls otherwise than transformers does."""
_PATIENCE_SECONDS = 3.0
"""For the hub to answer at all."""


def read_model_config(source: str) -> dict[str, Any]:
    """The configuration of the model that ``source`` names; of a hub id nothing else is downloaded.

    Raises:
        InputError: no model by that name, no readable configuration in it, or the hub cannot be reached.
    """
    path = resolve_package_path(source) if source.startswith(PREFIX) else Path(source)
    if path.is_file() and path.suffix == ".gguf":
        converted = converted_folder(path)
        return _from_gguf(path, source) if converted is None else _parsed(converted / "config.json", source)
    if path.is_dir():
        return _parsed(path / "config.json", source)
    if is_hub_name(source):
        return _parsed(_from_hub(source), source)
    raise InputError.single(
        f"model.source {source}",
        expected="package:NAME/PATH, a local folder or .gguf file, or a hub id such as org/name",
        found="no such folder, and not a hub id",
        remedy="check the path; it is relative to the settings file",
    )


def converted_folder(file: Path) -> Path | None:
    """Where a GGUF file lies as safetensors, if an earlier run converted it: its digest begins the name."""
    name = digest_file(file).removeprefix("sha256:")[:16]
    folders = sorted((cache_folder() / "models").glob(f"{name}-*"))
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def _parsed(file: Path, source: str) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or "model_type" not in values:
            raise ValueError("no model_type in it")
    except (OSError, ValueError) as error:
        raise InputError.single(
            f"model.source {source}, config.json",
            expected="the configuration that transformers' save_pretrained wrote",
            found=str(error).partition("\n")[0][:200],
            remedy="name the folder that holds the model",
        ) from error
    return values


def _from_hub(source: str) -> Path:
    from huggingface_hub import hf_hub_download

    name, _, revision = source.partition("@")
    try:
        return Path(
            hf_hub_download(
                name, "config.json", revision=revision or None, local_files_only=not _hub_answers()
            )
        )
    except (OSError, ValueError) as error:
        # The hub's own errors are OSErrors, and a name it would not accept is a ValueError.
        raise InputError.single(
            f"model.source {source}",
            expected="a model that the hub has, or whose config.json is already downloaded",
            found=type(error).__name__,
            remedy="check the name and the network, or give a local folder with a config.json",
        ) from error


def _hub_answers() -> bool:
    """Whether the hub's address can be connected to; the library itself retries for 23 s where it cannot."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    address = urlsplit(ENDPOINT)
    if address.hostname is None or getproxies():
        return True
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=_PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True


def _from_gguf(file: Path, source: str) -> dict[str, Any]:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
    except (OSError, ValueError, IndexError) as error:
        raise InputError.single(
            f"model.source {source}",
            expected="a whole GGUF file",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            remedy="download or copy the model again",
        ) from error
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("tokenizer.")}
    architecture = str(fields["general.architecture"].contents())

    def said(name: str) -> Any:
        field = fields.get(f"{architecture}.{name}")
        return None if field is None else field.contents()

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    width, heads = said("embedding_length"), said("attention.head_count")
    # Rows of the token embedding; the header need not name their number.
    vocabulary = int(tensors["token_embd.weight"].shape[-1])
    return {
        "model_type": _GGUF_TYPES.get(architecture, architecture),
        "hidden_size": width,
        "n_embd": width,
        "num_hidden_layers": said("block_count"),
        "n_layer": said("block_count"),
        "intermediate_size": said("feed_forward_length"),
        "num_attention_heads": heads,
        "n_head": heads,
        "num_key_value_heads": said("attention.head_count_kv"),
        "head_dim": said("attention.key_length") or width // heads,
        "max_position_embeddings": said("context_length"),
        "n_positions": said("context_length"),
        "vocab_size": vocabulary,
        "tie_word_embeddings": "output.weight" not in tensors,
        "attention_bias": "blk.0.attn_output.bias" in tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in tensors,
        # Converted to safetensors before it is trained.
        "dtype": "float32",
    }
