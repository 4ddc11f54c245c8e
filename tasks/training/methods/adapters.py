"""The methods that leave the base frozen, as PEFT configurations."""

import math
from typing import Any

from data_contracts.records.metrics import Task
from data_contracts.records.rungs import ADALORA_START, Rung
from data_contracts.records.settings import PilotSettings
from tasks.training.methods.kinds import AdapterMethod, MethodState, Model, PeftConfig, Place

_PISSA_ITERATIONS = 16
"""Of the fast singular value decomposition; with 16 its error is that of the exact one to three digits
(Meng et al., 2024, appendix)."""


def _common(settings: PilotSettings, place: Place) -> dict[str, Any]:
    from peft import TaskType

    targets = settings.target_modules
    fresh = list(place.new_modules)
    return {
        "target_modules": targets if isinstance(targets, str) else list(targets),
        "modules_to_save": fresh or None,
        "exclude_modules": fresh or None,
        "task_type": TaskType.SEQ_CLS if place.task is Task.CLASSIFICATION else TaskType.CAUSAL_LM,
    }


def _lora(settings: PilotSettings, place: Place, **variation: Any) -> PeftConfig:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        **_common(settings, place),
        **variation,
    )


def _rank_stabilised(settings: PilotSettings, place: Place) -> PeftConfig:
    return _lora(settings, place, use_rslora=True)


def _dora(settings: PilotSettings, place: Place) -> PeftConfig:
    return _lora(settings, place, use_dora=True)


def _pissa(settings: PilotSettings, place: Place) -> PeftConfig:
    return _lora(settings, place, init_lora_weights=f"pissa_niter_{_PISSA_ITERATIONS}")


def _adalora(settings: PilotSettings, place: Place) -> PeftConfig:
    """A tenth of the steps at the starting rank, half of them dealing ranks out, the rest at the end's."""
    from peft import AdaLoraConfig

    steps = max(1, place.total_steps)
    start = steps // 10
    final = min(steps - start - 1, math.ceil(0.4 * steps))
    return AdaLoraConfig(
        init_r=math.ceil(ADALORA_START * settings.rank),
        target_r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        total_step=steps,
        tinit=start,
        tfinal=max(0, final),
        deltaT=max(1, (steps - start - max(0, final)) // 20),
        **_common(settings, place),
    )


def _deal_out_ranks(model: Model, step: int) -> None:
    model.base_model.update_and_allocate(step)


_REMEMBERED = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""How much each triplet mattered lately, by which AdaLoRA deals out ranks."""


def _ranks_so_far(model: Model) -> dict[str, Any]:
    import torch

    allocator, (configuration,) = model.base_model.rankallocator, model.peft_config.values()
    state = {
        f"{what}/{name}": tensor for what in _REMEMBERED for name, tensor in getattr(allocator, what).items()
    }
    pattern = (configuration.rank_pattern or {}).items()
    return state | {f"rank_pattern/{name}": torch.tensor(kept) for name, kept in pattern}


def _put_ranks(model: Model, state: dict[str, Any]) -> None:
    allocator, (configuration,) = model.base_model.rankallocator, model.peft_config.values()
    of: dict[str, dict[str, Any]] = {what: {} for what in (*_REMEMBERED, "rank_pattern")}
    for key, tensor in state.items():
        what, _, name = key.partition("/")
        of[what][name] = tensor
    for what in _REMEMBERED:
        getattr(allocator, what).clear()
        getattr(allocator, what).update(of[what])
    if of["rank_pattern"]:
        configuration.rank_pattern = {name: kept.tolist() for name, kept in of["rank_pattern"].items()}


def _bottleneck(settings: PilotSettings, place: Place) -> PeftConfig:
    from tasks.training.methods.bottleneck import BottleneckConfig

    common = _common(settings, place)
    common.pop("exclude_modules")
    if settings.all_linear:
        common["target_modules"] = None
    return BottleneckConfig(bottleneck_size=settings.rank, **common)


def _make_bottleneck_known() -> None:
    import tasks.training.methods.bottleneck  # noqa: F401 - registers itself with PEFT


ADAPTER_METHODS = (
    AdapterMethod(Rung.LORA, "low-rank updates of linear layers", _lora, can_continue=True),
    AdapterMethod(Rung.RSLORA, "LoRA with the scale alpha / sqrt(rank)", _rank_stabilised, can_continue=True),
    AdapterMethod(
        Rung.DORA, "LoRA on the direction of the weights, their magnitude apart", _dora, can_continue=True
    ),
    AdapterMethod(
        Rung.PISSA,
        "LoRA that begins with the weights' principal singular vectors",
        _pissa,
        changes_base_at_start=True,
        shardable=False,
    ),
    AdapterMethod(
        Rung.ADALORA,
        "LoRA that deals its rank out over the layers",
        _adalora,
        after_step=_deal_out_ranks,
        state=MethodState(_ranks_so_far, _put_ranks),
        shardable=False,
    ),
    AdapterMethod(
        Rung.QLORA,
        "LoRA on a base in 4-bit NF4",
        _lora,
        quantised=True,
        can_continue=True,
        shardable=False,
    ),
    AdapterMethod(
        Rung.ADAPTER,
        "bottleneck layers after attention and feed-forward",
        _bottleneck,
        mergeable=False,
        can_continue=True,
        before_loading=_make_bottleneck_known,
    ),
)
