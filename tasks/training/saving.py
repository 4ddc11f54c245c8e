"""Writing what was trained: adapters and models as safetensors that plain transformers and peft load."""

import json
import tempfile
from pathlib import Path
from typing import Any

from data_contracts.records.settings import Precision
from tasks.training.devices import torch_dtype
from tasks.training.loading import ADAPTER_WEIGHTS, BASE_MODEL, Head, with_adapter
from tasks.training.quiet import quiet_libraries
from tasks.training.rungs import Prepared, in_float32
from tasks.training.sharding import gathered_state, is_first


def save_trained(
    prepared: Prepared,
    tokenizer: Any,
    artifact: Path,
    *,
    base_name: str,
    base_digest: str,
    precision: Precision,
) -> None:
    """Into the folder ``artifact``; an adapter names the model it belongs to, and holds its digest.

    A whole model is written in the ``precision`` in which it will be served, an adapter in float32.

    Where several processes train every one of them must ask; the first writes.
    """
    state = gathered_state(prepared.model)
    if not is_first():
        return
    artifact.mkdir(parents=True, exist_ok=True)
    if prepared.method is None:
        _save_model(prepared.model, tokenizer, artifact, precision, state)
        return
    for settings in prepared.model.peft_config.values():
        settings.base_model_name_or_path = base_name
    # Beside the artifact, because whoever is killed leaves it, and what is unfinished there is cleared.
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix=".start-", dir=artifact.parent) as scratch:
        # Embeddings are never adapted here; asking peft to find out would make it look on the hub.
        options: dict[str, Any] = {"safe_serialization": True, "save_embedding_layers": False}
        if state is not None:
            options["state_dict"] = state
        if prepared.start is not None:
            options["path_initial_model_for_weight_conversion"] = _save_start(prepared, Path(scratch))
        prepared.model.save_pretrained(artifact, **options)
        if prepared.start is not None:
            _add_whole_modules(prepared, artifact / ADAPTER_WEIGHTS)
    _name_base(artifact / ADAPTER_WEIGHTS, base_digest)
    _sort_sets(artifact / "adapter_config.json")
    # peft writes a card of its own that names the machine's folders.
    (artifact / "README.md").unlink(missing_ok=True)


def _add_whole_modules(prepared: Prepared, file: Path) -> None:
    """A new head beside the matrices: peft 0.21 leaves it out where it converts an adapter."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    whole = get_peft_model_state_dict(prepared.model, save_embedding_layers=False)
    tensors |= {name: value.contiguous() for name, value in whole.items() if "lora_" not in name}
    save_file(tensors, file, metadata={"format": "pt"})


def _sort_sets(configuration: Path) -> None:
    """Writes what peft keeps as sets in one order: theirs differs from process to process, and the digest."""
    content = json.loads(configuration.read_bytes())
    for name in ("target_modules", "exclude_modules"):
        if isinstance(content.get(name), list):
            content[name].sort()
    configuration.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")


def _name_base(file: Path, base_digest: str) -> None:
    """Writes the base's digest into the file's header (https://huggingface.co/docs/safetensors, Format).

    By hand, because the library writes more than one entry of metadata in a random order, and the same
    training must give the same bytes.
    """
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = {BASE_MODEL: base_digest, "format": "pt"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def merge(base: Path, adapter: Path, head: Head, tokenizer: Any, artifact: Path) -> None:
    """The adapter merged into the base in float32, as a whole model in the folder ``artifact``.

    Written in the precision of ``head``, in which it will be served.
    """
    merged = with_adapter(base, adapter, in_float32(head), quantised=False).merge_and_unload()
    artifact.mkdir(parents=True, exist_ok=True)
    _save_model(merged, tokenizer, artifact, head.precision)


def _save_model(
    model: Any, tokenizer: Any, artifact: Path, precision: Precision, state: dict[str, Any] | None = None
) -> None:
    dtype = torch_dtype(precision)
    if state is None:
        model = model.to(dtype)
    else:
        state = {
            name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()
        }
        model.config.dtype = dtype
        # Else transformers would gather once more, and wait for processes that do not come.
        model.config.distributed_config = None
    with quiet_libraries():
        model.save_pretrained(artifact, state_dict=state)
        tokenizer.save_pretrained(artifact)
    (artifact / "tokenizer.model").unlink(missing_ok=True)


def _save_start(prepared: Prepared, scratch: Path) -> str:
    """The adapter as it began, which peft subtracts so that what is saved fits the base as it was."""
    folder = scratch / "start"
    (configuration,) = prepared.model.peft_config.values()
    beginning = configuration.init_lora_weights
    # Loaded as plain low-rank matrices; under the method's own name they would be computed anew.
    configuration.init_lora_weights = True
    prepared.model.save_pretrained(folder, state_dict=prepared.start, save_embedding_layers=False)
    configuration.init_lora_weights = beginning
    return str(folder)
