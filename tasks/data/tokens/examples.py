"""Worked examples before the question: the cheapest thing to try before any training."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.records.metrics import Task
from tasks.data.rows.columns import Form, form_of
from tasks.data.tokens.preceding import Blocks, EarlierTurns, Longer
from tasks.data.tokens.tokenization import encode_split

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

_CANDIDATES = 1000
"""So many of the training rows are tried; more would take long to tokenise and hardly be shorter."""


@dataclass(frozen=True)
class EncodedWithExamples:
    """Rows as ``encode_split`` gives them, with the same examples before each question."""

    rows: "datasets.Dataset"
    """Prompts of plain text carry one column more, ``answer_end``: the text at which an answer ends."""
    example_ids: tuple[str, ...]
    """``row_id`` of the examples, in their order; fewer than asked for where no more fit."""
    example_tokens: int
    """Tokens by which the examples lengthen a row, at most."""


def encode_with_examples(
    rows: Path,
    train: Path,
    *,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    count: int,
    positions: int | None,
    answer_tokens: int,
) -> EncodedWithExamples:
    """The rows of an instruction task, with ``count`` examples from ``train`` before each question.

    The examples are the first in the order of ``row_id`` that are no longer than ``max_tokens`` and than
    their share of the room: ``positions`` (tokens the model takes; ``None`` is no limit) less the longest
    row, ``answer_tokens`` to be generated included. Where not so many fit, fewer are used, down to none.
    A row is cut at ``max_tokens`` of its own, so that as many of its tokens are supervised as without
    examples; answers of examples are not.

    Raises:
        InputError: as ``encode_split``; or the chat template renders answers differently behind other turns.
    """
    import pandas as pd

    alone = encode_split(rows, task=Task.INSTRUCTION, tokenizer=tokenizer, max_tokens=max_tokens, labels=())
    frame = pd.read_parquet(rows)
    candidates = _candidates(pd.read_parquet(train), frame)
    form = (
        Blocks if form_of(tuple(frame.columns), Task.INSTRUCTION) is Form.PROMPT_COMPLETION else EarlierTurns
    )
    examples = form.of(candidates, tokenizer)
    prompts = zip(alone["input_ids"], alone["prompt_ids"], strict=True)
    longest = max((max(len(ids), len(prompt) + answer_tokens) for ids, prompt in prompts), default=0)
    room = None if positions is None else positions - longest
    for wanted in range(count, 0, -1):
        share = max_tokens if room is None else min(max_tokens, room // wanted)
        chosen = [index for index, cost in enumerate(examples.costs) if cost <= share][:wanted]
        if len(chosen) < wanted:
            continue
        longer = examples.before(frame, alone, chosen)
        growth = max((row.growth for row in longer), default=0)
        if room is None or growth <= room:
            ids = tuple(str(candidates["row_id"].iloc[index]) for index in chosen)
            return EncodedWithExamples(_replaced(alone, longer, examples.end), ids, growth)
    return EncodedWithExamples(alone, (), 0)


def _candidates(train: "pd.DataFrame", frame: "pd.DataFrame") -> "pd.DataFrame":
    # A row that is asked must not stand among the examples with its answer.
    others = train[~train["row_id"].isin(frame["row_id"])]
    return others.sort_values("row_id").head(_CANDIDATES)


def _replaced(alone: "datasets.Dataset", longer: list[Longer], end: str | None) -> "datasets.Dataset":
    import datasets

    columns = {name: alone[name][:] for name in alone.column_names}
    columns["input_ids"] = [row.input_ids for row in longer]
    columns["labels"] = [row.labels for row in longer]
    columns["prompt_ids"] = [row.prompt_ids for row in longer]
    if end is not None:
        columns["answer_end"] = [end] * len(longer)
    return datasets.Dataset.from_dict(columns)
