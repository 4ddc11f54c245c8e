"""Loading a model for what it has to produce: the bare base, or an artifact as it would be served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import Precision
from tasks.training.base_model import auto_class
from tasks.training.devices import placement, torch_dtype
from tasks.training.methods.kinds import AdapterMethod, Model
from tasks.training.methods.registry import methods
from tasks.training.quiet import quiet_libraries

_HEADS = ("classifier", "score")
"""What transformers calls the head of a sequence classifier; peft trains and saves these whole."""


ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE_MODEL = "base_model"
"""Key in the header of an adapter's file: the digest of the base it was trained on."""


@dataclass(frozen=True)
class Head:
    """What the model has to produce."""

    task: Task
    labels: tuple[str, ...]
    """Sorted labels of a classification task; empty for an instruction task."""
    pad_token_id: int | None = None
    """The tokenizer's; a decoder with a classifier's head reads it to find each row's last token."""
    precision: Precision = Precision.FLOAT32
    """In which it computes what it produces; resolved, so never ``auto``."""


@dataclass(frozen=True)
class LoadedModel:
    """A model, and what in it did not come from the checkpoint."""

    model: Model
    new_modules: tuple[str, ...]
    """Full names of the modules with freshly initialised weights."""


def load_base(folder: Path, head: Head, *, quantised: bool = False) -> LoadedModel:
    """The base model for ``head`` on whatever computes here, in its precision; ``quantised`` keeps its linear
    layers in 4-bit NF4."""
    from transformers import BitsAndBytesConfig

    computed = torch_dtype(head.precision)
    options: dict[str, Any] = {
        "dtype": computed,
        **placement(),
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if quantised:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=computed,
            # A new head is trained, which four bits cannot be; unset keeps the library's own exceptions.
            llm_int8_skip_modules=list(_HEADS) if head.task is Task.CLASSIFICATION else None,
        )
    if head.task is Task.CLASSIFICATION:
        options |= {
            "num_labels": len(head.labels),
            "id2label": dict(enumerate(head.labels)),
            "label2id": {label: index for index, label in enumerate(head.labels)},
        }
    with quiet_libraries():
        model, report = auto_class(classifies=head.task is Task.CLASSIFICATION).from_pretrained(
            folder, output_loading_info=True, **options
        )
    if head.task is Task.CLASSIFICATION and head.pad_token_id is not None:
        model.config.pad_token_id = head.pad_token_id
    if quantised:
        _keep_one_kernel(model)
    return LoadedModel(model, tuple(sorted({key.rpartition(".")[0] for key in report["missing_keys"]})))


def _keep_one_kernel(model: Model) -> None:
    """Has bitsandbytes compute in float32 on every processor, in training as in scoring.

    On processors with bfloat16 instructions it would repack 4-bit weights at the first evaluation and
    compute in bfloat16 from then on: scores would depend on the machine, and training after an evaluation
    fails.
    """
    import bitsandbytes as bnb

    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def load_served(base: Path, artifact: Path | None, head: Head, rung: Rung) -> Model:
    """What would answer: ``artifact`` as saved, on the base it was trained on; ``None`` is the bare base."""
    if artifact is None:
        return load_base(base, head).model.eval()
    if stands_alone(artifact):
        return load_base(artifact, head).model.eval()
    return with_adapter(base, artifact, head, quantised=is_quantised(rung)).eval()


def stands_alone(artifact: Path) -> bool:
    """Whether an artifact's folder holds a whole model, and not what lies on a base."""
    return (artifact / "config.json").exists()


def require_same_base(adapter: Path, base_digest: str) -> None:
    """Returns only if the adapter says that it was trained on the base with this digest.

    Raises:
        InputError: on another, or it does not say.
    """
    from safetensors import safe_open

    with safe_open(adapter / ADAPTER_WEIGHTS, framework="numpy") as file:
        trained_on = (file.metadata() or {}).get(BASE_MODEL)
    if trained_on != base_digest:
        raise InputError.single(
            f"the adapter {adapter.name}/{ADAPTER_WEIGHTS}",
            expected=f"one that was trained on the base {base_digest}",
            found=f"base {trained_on}" if trained_on else "no digest of a base in its header",
            remedy="use the base it was trained on, or train a pilot on this one",
        )


def is_quantised(rung: Rung) -> bool:
    """Whether adapters of this rung lie on a base in 4 bits."""
    return bool(getattr(methods().get(rung), "quantised", False))


def make_methods_known() -> None:
    """Tells PEFT of the methods that it does not bring itself."""
    for method in methods().values():
        if isinstance(method, AdapterMethod) and method.before_loading is not None:
            method.before_loading()


def with_adapter(base: Path, adapter: Path, head: Head, *, quantised: bool) -> Model:
    """The base with a saved adapter on it, nothing of either trainable."""
    from peft import PeftModel

    make_methods_known()
    model = load_base(base, head, quantised=quantised).model
    with quiet_libraries():
        return PeftModel.from_pretrained(model, adapter, is_trainable=False)
