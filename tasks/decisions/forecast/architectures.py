"""From ``config.json`` to a shape, for the architectures whose arithmetic is known here."""

from collections.abc import Callable, Mapping
from typing import Any

from tasks.decisions.forecast.decoders import GPT2, LLAMA_LIKE, gpt2, llama_like
from tasks.decisions.forecast.encoders import BERT, DISTILBERT, bert, distilbert, modernbert, roberta
from tasks.decisions.forecast.reading import Config
from tasks.decisions.forecast.shapes import ModelShape

_ROBERTA = ("roberta", "xlm-roberta", "camembert")

_READERS: Mapping[str, tuple[Callable[..., ModelShape], Mapping[str, Any]]] = {
    **{name: (llama_like, defaults) for name, defaults in LLAMA_LIKE.items()},
    "gpt2": (gpt2, GPT2),
    "bert": (bert, BERT),
    **dict.fromkeys(_ROBERTA, (roberta, BERT)),
    "distilbert": (distilbert, DISTILBERT),
    "modernbert": (modernbert, {"norm_bias": False}),
}


def shape_of(config: Mapping[str, Any], *, labels: int) -> ModelShape | None:
    """The model's shape; ``None`` for a model type whose arithmetic is not known here.

    Args:
        config: the content of ``config.json``.
        labels: of a classifier; 0 for a model that generates text, which is the same checkpoint with another
            head.

    Raises:
        ValueError: the file lacks a number that this model type has.
    """
    known = _READERS.get(str(config.get("model_type")))
    if known is None or (labels == 0 and known[0] not in (llama_like, gpt2)):
        return None
    read, defaults = known
    return read(Config(config, defaults), labels=labels)
