"""From a rung to a model with exactly the rung's weights trainable.

``FullRung`` cannot be made without a permit that covers this very work. Everything that trains goes
through ``prepare``, and ``prepare`` knows no other way to leave base weights trainable.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError, PermitRefusedError
from data_contracts.records.permit import Permit
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings
from tasks.training.loading import Head, LoadedModel, load_base, make_methods_known, require_same_base
from tasks.training.methods.blocks import block_names, promise_of
from tasks.training.methods.kinds import AdapterMethod, Model, Place, Promise
from tasks.training.methods.registry import adapter_method, weights_method
from tasks.training.quiet import quiet_libraries


@dataclass(frozen=True)
class PilotRung:
    """A parameter-efficient rung: the base stays frozen."""

    settings: PilotSettings

    @property
    def rung(self) -> Rung:
        return self.settings.method


@dataclass(frozen=True)
class FullRung:
    """What updates base weights. Exists only for work that its permit covers."""

    permit: Permit
    run_id: str
    snapshot: str
    base_model: str
    policy: str
    settings: FullSettings = field(default_factory=FullSettings)
    adapter: Path | None = None
    """The pilot's, for a method that begins with it merged."""

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
            run_id=self.run_id,
            snapshot=self.snapshot,
            base_model=self.base_model,
            policy=self.policy,
            rung=self.rung,
        )

    @property
    def rung(self) -> Rung:
        return self.settings.method


def begins_with(rung: PilotRung | FullRung) -> Path | None:
    """The adapter that a rung begins with merged into the base; ``None`` where it begins with the base."""
    if isinstance(rung, FullRung) and weights_method(rung.settings.method).from_pilot:
        return rung.adapter
    return None


@dataclass(frozen=True)
class Prepared:
    """A model with exactly its rung's weights trainable."""

    model: Model
    method: AdapterMethod | None
    """``None`` where base weights are updated."""
    start: dict[str, Any] | None = None
    """The adapter as it began, where beginning took weights out of the base."""


def prepare(
    base: Path, head: Head, rung: PilotRung | FullRung, *, seed: int, total_steps: int = 1
) -> Prepared:
    """The model with exactly the rung's weights trainable, in float32.

    The seed fixes the new weights: adapters, and a classifier's head. ``total_steps`` is what training will
    take, for methods with a schedule of their own.

    Raises:
        PermitRefusedError: base weights would be updated and no permit covers that; no weight is read before.
        InputError: no such method.
    """
    match rung:
        case FullRung():
            rung.require()
            return Prepared(_with_base_weights(base, head, rung, seed), method=None)
        case PilotRung(settings=settings):
            method = adapter_method(settings.method)
            _seed(seed)
            loaded = load_base(base, head, quantised=method.quantised)
            model = _with_adapter(loaded, head, settings, method, total_steps)
            start = _trained_values(model) if method.changes_base_at_start else None
            return Prepared(model, method, start)
        case _:
            raise PermitRefusedError(f"Training was refused: {rung!r} is not a rung of the ladder.")


def adapted_module_names(model: Model) -> tuple[str, ...]:
    """Last parts of the names of the layers that carry an adapter, sorted; empty without one."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return tuple(
        sorted(
            {
                name.rpartition(".")[2]
                for name, module in model.named_modules()
                if isinstance(module, BaseTunerLayer) and hasattr(module, "base_layer")
            }
        )
    )


def _with_base_weights(base: Path, head: Head, rung: FullRung, seed: int) -> Model:
    method = weights_method(rung.settings.method)
    _seed(seed)
    loaded = load_base(base, head)
    model, promise = loaded.model, Promise()
    if method.from_pilot:
        model, promise = _merged_pilot(model, rung)
    chosen = method.choose(model, rung.settings, promise)
    if chosen is None:
        # A pilot that was merged has frozen all of it.
        return model.requires_grad_(True)
    fresh = tuple(f"{name}." for name in loaded.new_modules)
    wanted = set(chosen)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in wanted or name.startswith(fresh or ("\0",)))
    return model


def _merged_pilot(model: Model, rung: FullRung) -> tuple[Model, Promise]:
    from peft import PeftModel

    if rung.adapter is None:
        raise InputError.single(
            "full.method",
            expected="a pilot's adapter to begin with",
            found=f"{rung.rung}, and none was trained",
            remedy="train a pilot first; the pipeline does",
        )
    require_same_base(rung.adapter, rung.base_model)
    make_methods_known()
    blocks = block_names(model)
    with quiet_libraries():
        adapted = PeftModel.from_pretrained(model, rung.adapter, is_trainable=False)
        promise = promise_of(adapted, blocks)
        return adapted.merge_and_unload(), promise


def _with_adapter(
    loaded: LoadedModel, head: Head, settings: PilotSettings, method: AdapterMethod, total_steps: int
) -> Model:
    from peft import get_peft_model, prepare_model_for_kbit_training

    model = loaded.model
    # Layers that the checkpoint does not hold start from random weights; left frozen and unsaved they
    # would be others when the adapter is loaded again. They are trained and saved whole, like the head.
    fresh = loaded.new_modules if head.labels else ()
    place = Place(task=head.task, new_modules=fresh, total_steps=total_steps)
    configuration = method.configure(settings, place)
    if method.quantised:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    of_base = {id(parameter): name for name, parameter in model.named_parameters()}
    saved_whole = set(getattr(configuration, "modules_to_save", None) or ()) - set(fresh)
    with quiet_libraries():
        adapted = get_peft_model(model, configuration)
    trained = [of_base[id(p)] for p in adapted.parameters() if p.requires_grad and id(p) in of_base]
    refused = sorted(saved_whole) + [name for name in trained if not name.startswith(tuple(fresh))]
    if refused:
        raise PermitRefusedError(
            f"Training was refused: {settings.method} would update base weights, and has no permit.\n"
            f"  - {', '.join(refused[:5])}{' and more' if len(refused) > 5 else ''}\n"
            "  to do: a method of this kind may train what PEFT adds alone; one that updates the base is a "
            "WeightsMethod."
        )
    return adapted


def _trained_values(model: Model) -> dict[str, Any]:
    trained = ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
    return {name: parameter.detach().clone() for name, parameter in trained}


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)
