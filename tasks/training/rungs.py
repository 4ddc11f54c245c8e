"""From a rung to a model with exactly the rung's weights trainable.

``FullRung`` cannot be made without a permit that covers this very work and was redeemed for it. Everything
that trains goes through ``prepare``, and ``prepare`` knows no other way to leave base weights trainable.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError, PermitRefusedError, one_line
from data_contracts.records.permit import Permit, Redemption, refuse_if
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings, Precision
from tasks.training.loading import (
    ADAPTER_WEIGHTS,
    Head,
    LoadedModel,
    load_base,
    make_methods_known,
    require_same_base,
)
from tasks.training.methods.blocks import block_names, promise_of
from tasks.training.methods.kinds import AdapterMethod, Model, Place, Promise
from tasks.training.methods.registry import adapter_method, weights_method
from tasks.training.quiet import quiet_libraries
from tasks.training.sharding import world_size


@dataclass(frozen=True)
class PilotRung:
    """A parameter-efficient rung: the base stays frozen."""

    settings: PilotSettings
    start: Path | None = None
    """An adapter of the same shape on the same base that training goes on from; ``None`` begins with new
    weights."""

    @property
    def rung(self) -> Rung:
        return self.settings.method


@dataclass(frozen=True)
class FullRung:
    """What updates base weights. Exists only for work that its permit covers and was redeemed for."""

    permit: Permit
    redemption: Redemption
    run_id: str
    snapshot: str
    base_model: str
    policy: str
    settings: FullSettings = field(default_factory=FullSettings)
    adapter: Path | None = None
    """The pilot's, for a method that begins with it merged."""

    def __post_init__(self) -> None:
        self.require()

    def require(self, *, seed: int | None = None, base_model: str | None = None) -> None:
        """Raises ``PermitRefusedError`` unless the permit covers exactly this work and was redeemed for it.

        That the redemption is in the ledger is for whoever redeemed it to know.

        Args:
            seed: of the training that is about to begin, where that is known.
            base_model: its digest, likewise.
        """
        if not isinstance(self.permit, Permit) or not isinstance(self.redemption, Redemption):
            raise PermitRefusedError(
                "Full fine-tuning was refused: no permit, or one that was not redeemed.\n"
                "  to do: run the pipeline; its escalation gate issues one when the pilot failed on evidence."
            )
        faults = self.permit.faults(
            run_id=self.run_id,
            snapshot=self.snapshot,
            base_model=self.base_model,
            policy=self.policy,
            rung=self.rung,
            seed=self.redemption.seed,
        )
        checks = (
            ("permit", self.redemption.permit, self.permit.digest()),
            ("run", self.redemption.run_id, self.run_id),
            ("seed", self.redemption.seed, self.redemption.seed if seed is None else seed),
            ("base model", self.base_model, base_model or self.base_model),
        )
        unredeemed = [
            f"it was redeemed for {name} {redeemed}, and this is {name} {actual}"
            for name, redeemed, actual in checks
            if redeemed != actual
        ]
        refuse_if([*faults, *unredeemed])

    @property
    def rung(self) -> Rung:
        return self.settings.method


def begins_with(settings: PilotSettings | FullSettings, adapter: Path | None) -> Path | None:
    """``adapter`` if training begins with it, a pilot with it as it is and full fine-tuning with it merged;
    ``None`` where it begins with the base."""
    if isinstance(settings, PilotSettings):
        return adapter if settings.continues is not None else None
    return adapter if weights_method(settings.method).from_pilot else None


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
    """The model with exactly the rung's weights trainable, and these in float32.

    A frozen base is in the head's precision, in which it will be served. The seed fixes the new weights:
    adapters, and a classifier's head. ``total_steps`` is what training will take, for methods with a schedule
    of their own.

    Raises:
        PermitRefusedError: base weights would be updated and no permit covers that; no weight is read before.
        InputError: no such method, or the adapter to go on from does not fit.
    """
    match rung:
        case FullRung():
            rung.require(seed=seed)
            return Prepared(_with_base_weights(base, head, rung, seed), method=None)
        case PilotRung(settings=settings):
            method = adapter_method(settings.method)
            _seed(seed)
            # FSDP parts only what is of one type, and adapters are float32.
            parted = world_size() > 1 and method.shardable
            loaded = load_base(base, in_float32(head) if parted else head, quantised=method.quantised)
            model = _with_adapter(loaded, head, settings, method, total_steps)
            if rung.start is not None:
                _go_on_from(rung.start, model, method)
            start = _trained_values(model) if method.changes_base_at_start else None
            return Prepared(model, method, start)
        case _:
            raise PermitRefusedError(f"Training was refused: {rung!r} is not a rung of the ladder.")


def in_float32(head: Head) -> Head:
    """The same head, computing in float32."""
    return replace(head, precision=Precision.FLOAT32)


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
    loaded = load_base(base, in_float32(head))
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
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            # A step of AdamW is smaller than what 16 bits can add to a weight.
            parameter.data = parameter.data.float()
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


def _go_on_from(adapter: Path, model: Model, method: AdapterMethod) -> None:
    """Puts the weights of a saved adapter in the place of new ones, every one of them."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    faults = (
        [] if method.can_continue else [f"{method.name}, whose adapters are not saved as they are trained"]
    )
    if not faults:
        try:
            put = set_peft_model_state_dict(model, load_file(adapter / ADAPTER_WEIGHTS))
        except (RuntimeError, ValueError, KeyError) as error:
            faults = [one_line(error)]
        else:
            faults = [f"nothing for {name}" for name in sorted(trained & set(put.missing_keys))]
            faults += [f"{name}, which this pilot has not" for name in put.unexpected_keys]
    if faults:
        raise InputError.single(
            f"the adapter {adapter} to go on from",
            expected="the layers and the rank of this pilot",
            found="; ".join(faults[:3]) + (" and more" if len(faults) > 3 else ""),
            remedy="set pilot as it was when that adapter was trained, or begin at the base",
        )


def _trained_values(model: Model) -> dict[str, Any]:
    trained = ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
    return {name: parameter.detach().clone() for name, parameter in trained}


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)
