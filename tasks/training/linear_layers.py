"""The linear layers of a model, be it loaded or built without weights."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.training.methods.kinds import Model


@dataclass(frozen=True)
class LinearLayer:
    """A matrix that an adapter can be added to."""

    name: str
    inputs: int
    outputs: int
    bias: bool
    quantisable: bool
    """bitsandbytes can keep it in four bits."""


def linear_layer(name: str, module: Model) -> LinearLayer | None:
    """``module`` as a linear layer; ``None`` if it is none."""
    import torch
    from transformers.pytorch_utils import Conv1D

    bias = getattr(module, "bias", None) is not None
    if isinstance(module, torch.nn.Linear):
        return LinearLayer(name, module.in_features, module.out_features, bias, quantisable=True)
    if isinstance(module, Conv1D):
        return LinearLayer(name, module.nx, module.nf, bias, quantisable=False)
    return None


def hidden_linear_layers(model: Model) -> Iterator[LinearLayer]:
    """All but the one that gives a generating model's logits, under their full names."""
    output = model.get_output_embeddings()
    for name, module in model.named_modules():
        layer = None if module is output else linear_layer(name, module)
        if layer is not None:
            yield layer
