"""A model of any architecture without its weights, for shapes that no arithmetic here knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import InputError


@dataclass(frozen=True)
class SkeletonLinear:
    """One linear layer of the skeleton."""

    name: str
    """Full name."""
    inputs: int
    outputs: int
    bias: bool
    quantisable: bool


@dataclass(frozen=True)
class Skeleton:
    """The linear layers and the number of parameters of a model."""

    linears: tuple[SkeletonLinear, ...]
    """But the output layer."""
    output: SkeletonLinear | None
    tied: bool
    parameters: int
    embeddings: int
    """Parameters of all embeddings."""


def skeleton_of(config: Mapping[str, Any], *, labels: int, source: str) -> Skeleton:
    """Builds the model on torch's meta device, which takes seconds and no memory; ``labels`` 0 generates.

    Raises:
        InputError: transformers does not know this architecture, or not for this task.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.pytorch_utils import Conv1D

    kind = AutoModelForSequenceClassification if labels else AutoModelForCausalLM
    values = {key: value for key, value in config.items() if key not in ("auto_map", "quantization_config")}
    try:
        known = AutoConfig.for_model(**values, **({"num_labels": labels} if labels else {}))
        with torch.device("meta"):
            model = kind.from_config(known, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError.single(
            f"model.source {source}, config.json",
            expected="a model that transformers knows for this task, without code of its own",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            remedy="choose another model, or another task",
        ) from error
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    linears, found_output = [], None
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            linear = _linear(name, module, isinstance(module, torch.nn.Linear))
            if module is output:
                found_output = linear
            else:
                linears.append(linear)
    embeddings = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    return Skeleton(
        linears=tuple(linears),
        output=found_output,
        tied=output is not None and embedding is not None and output.weight is embedding.weight,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embeddings=sum(module.weight.numel() for module in embeddings),
    )


def _linear(name: str, module: Any, quantisable: bool) -> SkeletonLinear:
    shape = (module.in_features, module.out_features) if quantisable else (module.nx, module.nf)
    return SkeletonLinear(name, *shape, bias=module.bias is not None, quantisable=quantisable)
