"""What an answer costs by the base, with a LoRA adapter on it, and with the adapter merged into it.

    python -m benchmarks.training_arms.latency MODEL ADAPTER ROWS

Prints processor seconds per generated token, as JSON: the median of alternating answers, with one thread.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NEW_TOKENS = 24
ANSWERS = 5
IGNORED = -100


def seconds_per_token(model: Any, prompt: list[int]) -> float:
    import torch

    began = time.process_time()
    with torch.inference_mode():
        model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            min_new_tokens=NEW_TOKENS,
            max_new_tokens=NEW_TOKENS,
        )
    return (time.process_time() - began) / NEW_TOKENS


def main(base: Path, adapter: Path, rows: Path) -> None:
    import pandas as pd
    import torch

    from data_contracts.records.metrics import Task
    from data_contracts.records.rungs import Rung
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.training.loading import Head, load_served
    from tasks.training.saving import merge

    torch.set_num_threads(1)
    head = Head(Task.INSTRUCTION, ())
    with tempfile.TemporaryDirectory(prefix="lorafirst-merged-") as folder:
        merged = Path(folder) / "merged"
        merge(base, adapter, head, load_tokenizer(base), merged)
        models = {
            "base": load_served(base, None, head, Rung.LORA),
            "adapter": load_served(base, adapter, head, Rung.LORA),
            "merged": load_served(base, merged, head, Rung.LORA),
        }
        size = sum(path.stat().st_size for path in merged.rglob("*.safetensors"))
    taken: dict[str, list[float]] = {name: [] for name in models}
    prompts = [
        [int(token) for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
        for row in pd.read_parquet(rows).to_dict("records")
    ][:ANSWERS]
    for prompt in [prompts[0], *prompts]:
        for name, model in models.items():
            taken[name].append(seconds_per_token(model, prompt))
    medians = {name: statistics.median(each[1:]) for name, each in taken.items()}
    print(json.dumps({"seconds_per_token": medians, "merged_bytes": size}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
