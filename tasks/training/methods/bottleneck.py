"""Bottleneck adapters as a PEFT method: https://arxiv.org/abs/1902.00751, section 2.1 (Houlsby et al., 2019).

Twice in each transformer block, after the attention's and after the feed-forward's projection back to the
model's width d, and before the residual addition and the layer norm, the hidden state h becomes

    h + W_up f(W_down h + b_down) + b_up        W_down: m x d, W_up: d x m

with the bottleneck size m: 2md + d + m parameters an adapter. f is the GELU in its tanh form and the biases
start at zero, as in the authors' code; the weights start as their section 3 has it, so that the model starts
near the base. The authors also train the layer norms: ``modules_to_save=["output.LayerNorm"]`` does, in BERT.
Where a block drops units of the projection's output while it trains, it does so after the adapter, and the
authors' code before.

Importing this module is all that plain PEFT needs to load such an adapter, so it imports nothing else of
lorafirst and may be copied beside a server. Without it PEFT refuses the adapter by its unknown type.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import register_peft_method
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

PEFT_TYPE = "LORAFIRST_BOTTLENECK"
"""What ``adapter_config.json`` calls the method; after us, so that PEFT never has another of this name."""

_STANDARD_DEVIATION = 1e-2
"""Of the weights at the start, drawn from a normal distribution cut at two of these."""

_ATTENTION = {
    "attention.output.dense": "BERT, RoBERTa, ELECTRA, DeBERTa",
    "attention.out_lin": "DistilBERT",
    "attention.attn.o": "MPNet",
    "attn.Wo": "ModernBERT",
    "self_attn.o_proj": "Llama, Mistral, Qwen, Gemma, Phi-3, OLMo, Granite, SmolLM3, StarCoder2",
    "self_attn.dense": "Phi",
    "self_attn.out_proj": "OPT",
    "attn.c_proj": "GPT-2",
    "attn.out_proj": "GPT-J",
    "attn.attention.out_proj": "GPT-Neo",
    "attention.dense": "GPT-NeoX",
    "self_attention.dense": "BLOOM, Falcon",
}
"""Names inside a block of the attention's projection back to the model's width, and who has them."""

_FEED_FORWARD = {
    "output.dense": "BERT, RoBERTa, ELECTRA, DeBERTa, MPNet",
    "ffn.lin2": "DistilBERT",
    "mlp.Wo": "ModernBERT",
    "mlp.down_proj": "Llama, Mistral, Qwen, Gemma, Phi-3, OLMo, Granite, SmolLM3",
    "mlp.fc2": "Phi",
    "fc2": "OPT",
    "mlp.c_proj": "GPT-2, GPT-Neo, StarCoder2",
    "mlp.fc_out": "GPT-J",
    "mlp.dense_4h_to_h": "GPT-NeoX, BLOOM, Falcon",
}
"""The same for the feed-forward part."""


@dataclass
class BottleneckConfig(PeftConfig):  # type: ignore[misc]
    """What PEFT keeps in ``adapter_config.json``.

    Raises:
        ValueError: a bottleneck of less than one unit.
    """

    bottleneck_size: int = 64
    """Units m between the two projections."""
    target_modules: list[str] | str | None = None
    """Layers whose output is adapted: ends of their names, or a regular expression of whole names. ``None``
    finds both places of every block by the names of known architectures, and becomes what was found."""
    modules_to_save: list[str] | None = None
    """Modules trained and saved whole beside the adapters, such as a classifier's head."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType[PEFT_TYPE]
        if self.bottleneck_size < 1:
            raise ValueError(f"bottleneck_size: expected 1 or more, found {self.bottleneck_size}")
        if self.target_modules is not None and not isinstance(self.target_modules, str):
            # PEFT's own methods keep a set, which is written in another order by every process.
            self.target_modules = sorted(self.target_modules)


class BottleneckLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A projection whose output passes through an adapter; several active adapters follow one another."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    if TYPE_CHECKING:  # PEFT is untyped, and nn.Module would call whatever comes from there a tensor

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.merged_adapters: list[str] = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Gives the layer one more adapter, with fresh weights from torch's random state."""
        width, size = _output_width(self.get_base_layer()), config.bottleneck_size
        self.bottleneck_down[adapter_name] = _projection(width, size)
        self.bottleneck_up[adapter_name] = _projection(size, width)
        self._move_adapter_to_device_of_base_layer(adapter_name)

    def forward(self, x: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        hidden: torch.Tensor = self.base_layer(x, *arguments, **options)  # (..., width)
        if self.disable_adapters:
            return hidden
        for name in self.active_adapters:
            if name in self.bottleneck_down:
                hidden = self._adapt(hidden, name)
        return hidden

    def _adapt(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        down, up = self.bottleneck_down[name], self.bottleneck_up[name]
        # Adapters of a 16-bit base are kept in float32.
        h = self._cast_input_dtype(hidden, down.weight.dtype)
        adapted: torch.Tensor = h + up(functional.gelu(down(h), approximate="tanh"))
        return adapted.to(hidden.dtype)


class BottleneckModel(BaseTuner):  # type: ignore[misc]
    """A model with bottleneck adapters. They are not linear, so they cannot be merged into the base."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer

    def _prepare_adapter_config(
        self, peft_config: BottleneckConfig, model_config: dict[str, Any]
    ) -> BottleneckConfig:
        if peft_config.target_modules is None:
            peft_config.target_modules = _both_places(self.model, model_config)
        return peft_config

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        self._replace_module(parent, target_name, BottleneckLayer(target, adapter_name, peft_config), target)

    def _check_merge_allowed(self) -> None:
        raise ValueError(
            "Bottleneck adapters cannot be merged: between their two projections lies a nonlinearity, so no "
            "weights of the base compute the same.\n"
            "    to do:    serve the adapter on its base, or take the base out with unload()"
        )


def _output_width(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):  # bitsandbytes' quantised layers too
        return layer.out_features
    if isinstance(layer, Conv1D):
        return int(layer.nf)
    raise TypeError(
        f"Bottleneck adapters follow linear layers.\n"
        f"    expected: nn.Linear, one quantised by bitsandbytes, or Conv1D\n"
        f"    found:    {type(layer).__name__}\n"
        f"    to do:    change target_modules"
    )


def _projection(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    limit = 2 * _STANDARD_DEVIATION
    nn.init.trunc_normal_(layer.weight, std=_STANDARD_DEVIATION, a=-limit, b=limit)
    nn.init.zeros_(layer.bias)
    return layer


def _both_places(model: nn.Module, model_config: dict[str, Any]) -> str:
    """A regular expression for the names of the two projections of every block.

    Raises:
        ValueError: not every numbered block has one of each, by the same names; or a block also attends to
            another sequence, for which the paper has no place.
    """
    names = "|".join(map(re.escape, _ATTENTION | _FEED_FORWARD))
    known = re.compile(rf"(?P<block>(?:.*\.)?\d+)\.(?P<place>{names})")
    blocks: dict[str, set[str]] = defaultdict(set)
    for name, _ in model.named_modules():
        if found := known.fullmatch(name):
            blocks[found["block"]].add(found["place"])
    crossing = model_config.get("is_encoder_decoder") or model_config.get("add_cross_attention")
    match {frozenset(places) for places in blocks.values()}:
        case families if len(families) == 1 and not crossing:
            (places,) = families
            if len(places & _ATTENTION.keys()) == len(places & _FEED_FORWARD.keys()) == 1:
                return rf"(.*\.)?\d+\.({'|'.join(map(re.escape, sorted(places)))})"
    raise ValueError(
        f"Bottleneck adapters have no known places in a model of type {model_config.get('model_type')!r}.\n"
        f"    expected: in every block, one projection after attention and one after the feed-forward, named "
        f"as in a known architecture\n"
        f"    found:    linear layers {', '.join(_linear_layers(model))}\n"
        f"    to do:    name both projections of a block in target_modules"
    )


def _linear_layers(model: nn.Module) -> list[str]:
    """Names of the linear layers, each once for all blocks."""
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D))
    return sorted({re.sub(r"\.\d+\.", ".*.", name) for name in linear})


def _register() -> None:
    """Makes PEFT know the method; a second call changes nothing.

    ``register_peft_method`` takes only methods that PEFT's enum names, so the enum is given one more member,
    in the tables in which CPython keeps members.

    Raises:
        RuntimeError: PEFT, or somebody else, has a method of this name.
    """
    if PEFT_TYPE in PeftType.__members__:
        known = PEFT_TYPE_TO_CONFIG_MAPPING.get(PeftType[PEFT_TYPE])
        if getattr(known, "__module__", None) == __name__:
            return
        raise RuntimeError(
            f"PEFT already has a method {PEFT_TYPE}, from {getattr(known, '__module__', 'elsewhere')}.\n"
            f"    expected: the name to be free, or taken by {__name__}\n"
            f"    to do:    load this adapter in a process of its own"
        )
    member = str.__new__(PeftType, PEFT_TYPE)
    member._name_ = member._value_ = PEFT_TYPE
    setattr(PeftType, PEFT_TYPE, member)
    PeftType._member_map_[PEFT_TYPE] = PeftType._value2member_map_[PEFT_TYPE] = member
    PeftType._member_names_.append(PEFT_TYPE)
    register_peft_method(
        name=PEFT_TYPE.lower(),
        config_cls=BottleneckConfig,
        model_cls=BottleneckModel,
        prefix=BottleneckModel.prefix,
    )


_register()
