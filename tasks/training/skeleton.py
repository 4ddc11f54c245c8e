"""A model of any architecture without its weights, for shapes that no arithmetic here knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import InputError
from tasks.training.base_model import auto_class
from tasks.training.linear_layers import LinearLayer, hidden_linear_layers, linear_layer


@dataclass(frozen=True)
class Skeleton:
    """The linear layers and the number of parameters of a model."""

    linears: tuple[LinearLayer, ...]
    """But the output layer."""
    output: LinearLayer | None
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
    from transformers import AutoConfig

    values = {key: value for key, value in config.items() if key not in ("auto_map", "quantization_config")}
    try:
        known = AutoConfig.for_model(**values, **({"num_labels": labels} if labels else {}))
        with torch.device("meta"):
            model = auto_class(classifies=labels > 0).from_config(known, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError.single(
            f"model.source {source}, config.json",
            expected="a model that transformers knows for this task, without code of its own",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            remedy="choose another model, or another task",
        ) from error
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    named = next((each for each in model.named_modules() if each[1] is output), None)
    embeddings = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    return Skeleton(
        linears=tuple(hidden_linear_layers(model)),
        output=None if named is None else linear_layer(*named),
        tied=output is not None and embedding is not None and output.weight is embedding.weight,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embeddings=sum(module.weight.numel() for module in embeddings),
    )
