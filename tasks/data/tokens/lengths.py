"""How many tokens rows have, and what of them truncation would cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.errors import InputError
from tasks.data.tokens.chat import try_chats
from tasks.data.tokens.framing import opening_ids, require_end_of_sequence, separator

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNKNOWN = -1
"""Stands for a length that cannot be told, because the row cannot be encoded."""

_AT_ONCE = 2000
"""Texts handed to the tokenizer together: enough to keep its threads busy, few enough to bound memory."""
_WINDOW = 40
"""Characters on each side of a join that are looked at; no token of a usual vocabulary is longer."""

Counts = np.ndarray[Any, np.dtype[np.int32]]


class Cut(IntEnum):
    """What a row loses when it is truncated, from nothing to the worst."""

    NOTHING = 0
    BEHIND_ANSWER = 1
    """Only what the template writes behind the last answer."""
    TEXT = 2
    """The end of a text to be classified."""
    PART_OF_ANSWER = 3
    ANSWER = 4
    """A whole answer; of a conversation perhaps the last one only."""
    PROMPT = 5
    """Part of the prompt, and with it the whole answer."""


CUT_WORDS = {
    Cut.BEHIND_ANSWER: "only what the template writes behind the answer",
    Cut.TEXT: "the end of their text",
    Cut.PART_OF_ANSWER: "part of an answer",
    Cut.ANSWER: "a whole answer",
    Cut.PROMPT: "part of the prompt and the whole answer",
}
"""What a row loses, for people."""


@dataclass(frozen=True)
class TokenCounts:
    """How long each row is, in tokens; ``UNKNOWN`` where it could not be encoded."""

    tokens: Counts
    """Before truncation."""
    supervised_tokens: Counts
    """After truncation; 1 for a classification row, whose label is the one thing predicted."""
    prompt_tokens: Counts
    """What generation starts from; 0 for a row of one text, from which nothing is generated."""
    cut: np.ndarray[Any, np.dtype[np.uint8]]
    """Of ``Cut``."""
    rendered: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether the chat template took the row and the answers could be found; true for other forms."""
    joined: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether prompt and completion, written together, still part at a token; true for other forms."""


def measure_texts(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> TokenCounts:
    """Lengths of texts to be classified, special tokens included."""
    tokens = count_tokens(texts, tokenizer, special=True)
    return _counts(
        tokens,
        supervised=np.ones(len(texts), np.int32),
        prompts=np.zeros(len(texts), np.int32),
        cut=np.where(tokens > max_tokens, Cut.TEXT, Cut.NOTHING),
    )


def measure_continuations(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> TokenCounts:
    """Lengths of texts to go on with, opening and end included; they are cut into windows, and never short.

    Raises:
        InputError: the tokenizer has no end-of-sequence token.
    """
    require_end_of_sequence(tokenizer)
    tokens = count_tokens(texts, tokenizer) + np.int32(len(opening_ids(tokenizer)) + 1)
    return _counts(
        tokens,
        supervised=tokens - np.int32(1),
        prompts=np.zeros(len(texts), np.int32),
        cut=np.full(len(texts), Cut.NOTHING),
    )


def unmeasured(rows: int) -> TokenCounts:
    """The lengths of rows for which there is no tokenizer."""
    unknown = np.full(rows, UNKNOWN, np.int32)
    nothing = np.full(rows, Cut.NOTHING)
    return _counts(unknown, supervised=unknown, prompts=unknown, cut=nothing)


def measure_pairs(
    prompts: Sequence[str],
    completions: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
) -> TokenCounts:
    """Lengths of prompts with their completions, as ``encode_split`` joins them.

    Raises:
        InputError: the tokenizer has no end-of-sequence token.
    """
    require_end_of_sequence(tokenizer)
    separators = [separator(prompt, answer) for prompt, answer in zip(prompts, completions, strict=True)]
    answers = [space + answer for space, answer in zip(separators, completions, strict=True)]
    before = count_tokens(prompts, tokenizer) + np.int32(len(opening_ids(tokenizer)))
    tokens = before + count_tokens(answers, tokenizer) + np.int32(1)
    cut = np.select(
        [tokens <= max_tokens, before > max_tokens, before == max_tokens],
        [Cut.NOTHING, Cut.PROMPT, Cut.ANSWER],
        default=Cut.PART_OF_ANSWER,
    )
    return _counts(
        tokens,
        supervised=np.maximum(np.minimum(tokens, max_tokens) - before, 0),
        prompts=before,
        cut=cut,
        joined=_joined(prompts, answers, separators, tokenizer),
    )


def measure_chats(
    conversations: Sequence[list[dict[str, str]]],
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    places: Sequence[str],
) -> TokenCounts:
    """Lengths of conversations through the chat template.

    Raises:
        InputError: the model has no chat template.
    """
    counts = np.full((4, len(conversations)), UNKNOWN, dtype=np.int32)
    for start in range(0, len(conversations), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        for index, chat in enumerate(try_chats(conversations[part], tokenizer, places[part]), start=start):
            if not isinstance(chat, InputError):
                kept, marked = sum(chat.supervised[:max_tokens]), sum(chat.supervised)
                cut = _chat_cut(len(chat.input_ids), len(chat.prompt_ids), kept, marked, max_tokens)
                counts[:, index] = len(chat.input_ids), kept, len(chat.prompt_ids), cut
    rendered = counts[0] != UNKNOWN
    cuts = np.where(rendered, counts[3], Cut.NOTHING)
    return _counts(counts[0], supervised=counts[1], prompts=counts[2], cut=cuts, rendered=rendered)


def count_tokens(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", *, special: bool = False
) -> Counts:
    """Tokens of each text; ``special`` adds the ones that the tokenizer puts around a text."""
    counts = np.empty(len(texts), dtype=np.int32)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    for start in range(0, len(texts), _AT_ONCE):
        part = list(texts[start : start + _AT_ONCE])
        if backend is None:
            encoded = tokenizer(part, add_special_tokens=special, truncation=False, verbose=False)[
                "input_ids"
            ]
        else:
            # Ids are never made into Python objects: only their number is wanted.
            encoded = backend.encode_batch_fast(part, add_special_tokens=special)
        counts[start : start + len(part)] = [len(ids) for ids in encoded]
    return counts


def _chat_cut(tokens: int, prompt: int, kept: int, marked: int, max_tokens: int) -> Cut:
    if tokens <= max_tokens:
        return Cut.NOTHING
    if kept == marked:
        return Cut.BEHIND_ANSWER
    if prompt > max_tokens and kept == 0:
        return Cut.PROMPT
    return Cut.ANSWER if prompt >= max_tokens else Cut.PART_OF_ANSWER


def _joined(
    prompts: Sequence[str],
    answers: Sequence[str],
    separators: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A space of our own always parts tokens; where the data bring their own, the join is tokenised."""
    joined = np.ones(len(prompts), dtype=bool)
    own = [index for index, space in enumerate(separators) if not space and prompts[index]]
    if own:
        tails = [_tail(prompts[index]) for index in own]
        heads = [answers[index][:_WINDOW] for index in own]
        whole = _ids(tokenizer, [tail + head for tail, head in zip(tails, heads, strict=True)])
        apart = zip(_ids(tokenizer, tails), _ids(tokenizer, heads), strict=True)
        joined[own] = [ids == before + after for ids, (before, after) in zip(whole, apart, strict=True)]
    return joined


def _tail(prompt: str) -> str:
    """The prompt's last words, from a word's start, so that the tail's own first token is a whole one."""
    tail = prompt[-_WINDOW:]
    start = tail.find(" ") if len(prompt) > _WINDOW else 0
    return tail[max(start, 0) :]


def _ids(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _counts(
    tokens: Counts,
    *,
    supervised: Counts,
    prompts: Counts,
    cut: np.ndarray[Any, Any],
    rendered: np.ndarray[Any, Any] | None = None,
    joined: np.ndarray[Any, Any] | None = None,
) -> TokenCounts:
    whole = np.ones(len(tokens), dtype=bool)
    return TokenCounts(
        tokens=tokens,
        supervised_tokens=supervised.astype(np.int32),
        prompt_tokens=prompts,
        cut=cut.astype(np.uint8),
        rendered=whole if rendered is None else rendered,
        joined=whole if joined is None else joined,
    )
