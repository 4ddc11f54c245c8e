"""Small random models with adapters far from the identity."""

from typing import Any

import torch
from peft import get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from tasks.training.methods.bottleneck import BottleneckConfig

VOCABULARY = 60


def tiny(kind: str, *, width: int = 16, layers: int = 2, inner: int = 24) -> Any:
    """A BERT, Llama or GPT-2 with random weights, in evaluation mode."""
    torch.manual_seed(1)
    match kind:
        case "bert":
            model: Any = BertForSequenceClassification(
                BertConfig(
                    vocab_size=VOCABULARY,
                    hidden_size=width,
                    num_hidden_layers=layers,
                    num_attention_heads=2,
                    intermediate_size=inner,
                    num_labels=3,
                )
            )
        case "llama":
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=VOCABULARY,
                    hidden_size=width,
                    num_hidden_layers=layers,
                    num_attention_heads=2,
                    num_key_value_heads=1,
                    intermediate_size=inner,
                )
            )
        case _:
            model = GPT2LMHeadModel(
                GPT2Config(vocab_size=VOCABULARY, n_embd=width, n_layer=layers, n_head=2, n_inner=inner)
            )
    return model.eval()


def adapted(model: Any, **settings: Any) -> Any:
    """``model`` with adapters whose every weight is random, so that a misplaced one shows."""
    model = get_peft_model(model, BottleneckConfig(**settings)).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bottleneck_" in name:
                parameter.normal_(std=0.5)
    return model
