"""Greedy answers of a model that generates text, for scoring and for timing alike."""

from collections.abc import Sequence
from typing import Any

from data_contracts.progress import Progress, silent
from data_contracts.records.settings import GenerationSettings
from tasks.training.batching import batches_by_length, pad_batch
from tasks.training.methods.kinds import Model


def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    tokenizer: Any,
    generation: GenerationSettings,
    *,
    end: str | None = None,
    progress: Progress = silent,
    what: str = "answers",
) -> tuple[str, ...]:
    """One answer for each prompt of token ids, in their order, without special tokens and outer spaces.

    ``end`` ends an answer too, and is no part of it: what examples in the prompt end with, the model writes
    behind its answer, and would then go on to invent further examples.
    """
    greedy = greedy_configuration(model, tokenizer, generation)
    answers = [""] * len(prompts)
    done = 0
    batches = batches_by_length(
        [len(ids) for ids in prompts],
        tokens=generation.batch_size * (max(len(ids) for ids in prompts) + 1),
        rows=generation.batch_size,
    )
    for batch in batches:
        tokens = new_tokens(model, [prompts[index] for index in batch], tokenizer, greedy, end)
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for index, text in zip(batch, texts, strict=True):
            answers[index] = _until(end, text)
        done += len(batch)
        progress(done, len(prompts), what)
    return tuple(answers)


def greedy_configuration(model: Model, tokenizer: Any, generation: GenerationSettings) -> Any:
    """transformers' ``GenerationConfig`` for one repeatable answer a prompt."""
    from transformers import GenerationConfig

    # Written out, because a model's own defaults (beams, sampling, penalties) would stand in for gaps.
    return GenerationConfig(
        max_new_tokens=generation.max_new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        pad_token_id=tokenizer.pad_token_id or 0,
        eos_token_id=stop_ids(model, tokenizer),
    )


def new_tokens(
    model: Model, prompts: Sequence[Sequence[int]], tokenizer: Any, configuration: Any, end: str | None = None
) -> Any:
    """What the model adds to each prompt, (prompts, new tokens); padded behind where an answer is shorter."""
    import torch

    padded = pad_batch(prompts, pad=tokenizer.pad_token_id or 0, left=True).to(model.device)
    length = padded.ids.shape[1]

    def ended(input_ids: Any, scores: Any, **_: Any) -> Any:
        # Decoded and not compared as tokens, because tokenizers join white space with what stands beside it.
        texts = tokenizer.batch_decode(input_ids[:, length:], skip_special_tokens=True)
        return torch.tensor([str(end) in text.lstrip() for text in texts], device=input_ids.device)

    with torch.inference_mode():
        tokens = model.generate(
            input_ids=padded.ids,
            attention_mask=padded.attention,
            generation_config=configuration,
            stopping_criteria=[ended] if end else None,
        )
    return tokens[:, length:]


def _until(end: str | None, text: str) -> str:
    text = text.strip()
    return text.partition(end)[0].rstrip() if end else text


def stop_ids(model: Model, tokenizer: Any) -> list[int]:
    """The tokenizer's end of sequence, and whatever else the model's own configuration stops at."""
    own = model.generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])]
    return sorted({each for each in ids if each is not None})
