"""What an answer costs once the model is in use."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from data_contracts.progress import Progress, silent
from data_contracts.records.evidence import ServingCost
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings
from tasks.training.baseline import apply_probe, load_encoder, mean_states, read_probe
from tasks.training.batching import pad_batch
from tasks.training.generation import greedy_configuration, new_tokens
from tasks.training.loading import Head, load_served, stands_alone
from tasks.training.methods.kinds import Model
from tasks.training.score import answer_end

_MOST_ROWS = 30

Ask = Callable[[Any], int | None]
"""Answers one encoded row; returns the tokens generated, or ``None`` where none are."""


def measure_serving(
    *,
    base: Path,
    artifact: Path | None,
    rung: Rung,
    head: Head,
    rows: Any,
    tokenizer: Any,
    generation: GenerationSettings,
    progress: Progress = silent,
) -> ServingCost:
    """Times the artifact on the first 30 of the encoded ``rows``, one at a time, as it would be served.

    A model that goes on with texts is timed at going on from the first half of each. ``artifact`` is ``None``
    for the bare base of a model that generates text. The first row is asked once more
    before the clock runs, because first calls allocate and compile. One row is needed at least.
    """
    import torch

    model, ask = _asked(base, artifact, rung, head, tokenizer, generation, answer_end(rows))
    count = min(len(rows), _MOST_ROWS)
    ask(rows[0])
    seconds, tokens = [], []
    for index in range(count):
        row = rows[index]
        start = perf_counter()
        tokens.append(ask(row))
        seconds.append(perf_counter() - start)
        progress(index + 1, count, f"time {rung}")
    generated = [each for each in tokens if each is not None]
    on_base = artifact is not None and not stands_alone(artifact)
    return ServingCost(
        rows=count,
        median_seconds=float(np.median(seconds)),
        percentile_95_seconds=float(np.quantile(seconds, 0.95, method="inverted_cdf")),
        tokens_per_answer=float(np.mean(generated)) if generated else None,
        artifact_bytes=folder_bytes(artifact) if artifact else 0,
        base_bytes=folder_bytes(base) if on_base or artifact is None else 0,
        on_base=on_base,
        device=str(model.device.type),
        threads=torch.get_num_threads(),
    )


def folder_bytes(folder: Path) -> int:
    """Sizes of all files below ``folder``; of what a link points to where there are links."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _asked(
    base: Path,
    artifact: Path | None,
    rung: Rung,
    head: Head,
    tokenizer: Any,
    generation: GenerationSettings,
    end: str | None,
) -> tuple[Model, Ask]:
    if head.task is Task.CLASSIFICATION and rung == Rung.BASELINE:
        assert artifact is not None
        encoder, probe = load_encoder(base), read_probe(artifact)

        def label_by_probe(row: Any) -> None:
            apply_probe(probe, mean_states(encoder, [row["input_ids"]]), len(head.labels)).argmax()

        return encoder, label_by_probe
    model = load_served(base, artifact, head, rung)
    if head.task is Task.CLASSIFICATION:
        return model, lambda row: _label(model, row)
    greedy = greedy_configuration(model, tokenizer, generation)

    def answer(row: Any) -> int:
        tokens = new_tokens(model, [_asked_tokens(row, head)], tokenizer, greedy, end)[0].tolist()
        tokenizer.decode(tokens, skip_special_tokens=True)
        return len(tokens)

    return model, answer


def _asked_tokens(row: Any, head: Head) -> Any:
    if head.task is Task.COMPLETION:
        return row["input_ids"][: max(1, len(row["input_ids"]) // 2)]
    return row["prompt_ids"]


def _label(model: Model, row: Any) -> None:
    import torch

    padded = pad_batch([row["input_ids"]], pad=0).to(model.device)
    with torch.inference_mode():
        # Reading the number waits for a device that computes on its own.
        int(model(input_ids=padded.ids, attention_mask=padded.attention).logits.argmax())
