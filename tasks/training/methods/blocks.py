"""The transformer blocks of a model, and how much an adapter changed each."""

import re

from data_contracts.errors import InputError
from tasks.training.methods.kinds import Model, Promise


def block_names(model: Model) -> tuple[str, ...]:
    """Full names of the transformer blocks, lowest first.

    Raises:
        InputError: the model has no list of as many modules as its configuration has layers.
    """
    import torch

    layers = getattr(model.config, "num_hidden_layers", None)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == layers:
            return tuple(f"{name}.{index}" for index in range(len(module)))
    raise InputError.single(
        "full.method",
        expected="full, because this model's transformer blocks cannot be told apart",
        found=f"{type(model).__name__} without a list of {layers} blocks",
        remedy="set full.method to full, or choose another model",
    )


def promise_of(adapted: Model, blocks: tuple[str, ...]) -> Promise:
    """How much a LoRA-like adapter changes each block: ``||update|| / ||weights||`` over its adapted layers.

    Both are Frobenius norms over all adapted matrices of the block together.
    """
    import torch

    changed, whole = [0.0] * len(blocks), [0.0] * len(blocks)
    places = [re.compile(rf"(^|\.){re.escape(name)}\.") for name in blocks]
    with torch.no_grad():
        for name, module in adapted.named_modules():
            block = next((i for i, place in enumerate(places) if place.search(name)), None)
            if block is None or not hasattr(module, "get_delta_weight"):
                continue
            for adapter in module.active_adapters:
                changed[block] += float(module.get_delta_weight(adapter).double().pow(2).sum())
            whole[block] += float(module.get_base_layer().weight.double().pow(2).sum())
    return Promise(tuple((c / w) ** 0.5 if w else 0.0 for c, w in zip(changed, whole, strict=True)))
