"""The rungs of the ladder: for each, which weights may change, and how its artifact is loaded again.

``FullRung`` cannot be made without a permit that covers this very work. Everything that trains goes
through ``prepare``, and ``prepare`` knows no other way to leave base weights trainable.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import PermitRefusedError
from data_contracts.records.evidence import Rung
from data_contracts.records.metrics import Task
from data_contracts.records.permit import Permit
from data_contracts.records.settings import PilotMethod, PilotSettings
from tasks.training.quiet import quiet_libraries

_HEADS = ("classifier", "score")
"""What transformers calls the head of a sequence classifier; peft trains and saves these whole."""

Model = Any  # transformers and peft models share no useful static type


@dataclass(frozen=True)
class Head:
    """What the model has to produce."""

    task: Task
    labels: tuple[str, ...]
    """Sorted labels of a classification task; empty for an instruction task."""
    pad_token_id: int | None = None
    """The tokenizer's; a decoder with a classifier's head reads it to find each row's last token."""


@dataclass(frozen=True)
class LoadedModel:
    """A model, and what in it did not come from the checkpoint."""

    model: Model
    new_modules: tuple[str, ...]
    """Full names of the modules with freshly initialised weights."""


@dataclass(frozen=True)
class PilotRung:
    """LoRA or QLoRA: the base stays frozen."""

    settings: PilotSettings

    @property
    def rung(self) -> Rung:
        return Rung.QLORA if self.settings.method is PilotMethod.QLORA else Rung.LORA


@dataclass(frozen=True)
class FullRung:
    """Every weight changes. Exists only for work that its permit covers."""

    permit: Permit
    run_id: str
    snapshot: str
    base_model: str
    policy: str

    def __post_init__(self) -> None:
        self.require()

    def require(self) -> None:
        """Raises ``PermitRefusedError`` unless the permit covers exactly this work."""
        if not isinstance(self.permit, Permit):
            raise PermitRefusedError(
                "Full fine-tuning was refused: no permit.\n"
                "  to do: run the pipeline; its escalation gate issues one when the pilot failed on evidence."
            )
        self.permit.require(
            run_id=self.run_id, snapshot=self.snapshot, base_model=self.base_model, policy=self.policy
        )

    @property
    def rung(self) -> Rung:
        return Rung.FULL


def prepare(base: Path, head: Head, rung: PilotRung | FullRung, *, seed: int) -> Model:
    """The model with exactly the rung's weights trainable, in float32.

    The seed fixes the new weights: adapters, and a classifier's head.

    Raises:
        PermitRefusedError: full fine-tuning that its permit does not cover; no weight is read before.
    """
    match rung:
        case FullRung():
            rung.require()
            _seed(seed)
            return load_base(base, head).model
        case PilotRung(settings=settings):
            _seed(seed)
            loaded = load_base(base, head, quantised=settings.method is PilotMethod.QLORA)
            return _with_adapter(loaded, head, settings)
        case _:
            raise PermitRefusedError(f"Training was refused: {rung!r} is not a rung of the ladder.")


def load_base(folder: Path, head: Head, *, quantised: bool = False) -> LoadedModel:
    """The base model for ``head``; ``quantised`` keeps its linear layers in 4-bit NF4."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        BitsAndBytesConfig,
    )

    options: dict[str, Any] = {
        "dtype": torch.float32,
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if quantised:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
            # A new head is trained, which four bits cannot be; unset keeps the library's own exceptions.
            llm_int8_skip_modules=list(_HEADS) if head.task is Task.CLASSIFICATION else None,
        )
    if head.task is Task.CLASSIFICATION:
        options |= {
            "num_labels": len(head.labels),
            "id2label": dict(enumerate(head.labels)),
            "label2id": {label: index for index, label in enumerate(head.labels)},
        }
    kind = AutoModelForSequenceClassification if head.task is Task.CLASSIFICATION else AutoModelForCausalLM
    with quiet_libraries():
        model, report = kind.from_pretrained(folder, output_loading_info=True, **options)
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
    if rung is Rung.FULL:
        return load_base(artifact, head).model.eval()
    from peft import PeftModel

    model = load_base(base, head, quantised=rung is Rung.QLORA).model
    with quiet_libraries():
        return PeftModel.from_pretrained(model, artifact, is_trainable=False).eval()


def adapted_module_names(model: Model) -> tuple[str, ...]:
    """Last parts of the names of the layers that carry an adapter, sorted; empty without one."""
    return tuple(
        sorted(
            {
                name.rpartition(".")[2]
                for name, module in model.named_modules()
                if hasattr(module, "lora_A") and hasattr(module, "base_layer")
            }
        )
    )


def _with_adapter(loaded: LoadedModel, head: Head, settings: PilotSettings) -> Model:
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

    model = loaded.model
    # Layers that the checkpoint does not hold start from random weights; left frozen and unsaved they
    # would be others when the adapter is loaded again. They are trained and saved whole, like the head.
    fresh = [name for name in loaded.new_modules if head.task is Task.CLASSIFICATION]
    if settings.method is PilotMethod.QLORA:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    targets = settings.target_modules
    return get_peft_model(
        model,
        LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
            modules_to_save=fresh or None,
            exclude_modules=fresh or None,
            task_type=TaskType.SEQ_CLS if head.task is Task.CLASSIFICATION else TaskType.CAUSAL_LM,
        ),
    )


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)
