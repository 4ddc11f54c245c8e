"""Texts to go on with, as token ids: whole, in windows that the model can read."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.framing import opening_ids, require_end_of_sequence

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_windows(
    row_ids: Sequence[str], texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", max_tokens: int
) -> dict[str, list[Any]]:
    """Each text as one or more consecutive rows of the same ``row_id``, none longer than ``max_tokens``.

    A text is its opening token (where the tokenizer has one), its tokens and the end of sequence. A window
    begins with the last token of the one before, so that every token but the text's first is predicted once,
    and nothing is cut away.

    Raises:
        InputError: the tokenizer has no end-of-sequence token.
    """
    rows: dict[str, list[Any]] = {"row_id": [], "input_ids": [], "truncated": [], "labels": []}
    for row_id, whole in zip(row_ids, _whole(texts, tokenizer), strict=True):
        for window in windows(whole, max_tokens):
            rows["row_id"].append(row_id)
            rows["input_ids"].append(window)
            rows["truncated"].append(False)
            rows["labels"].append([IGNORED_LABEL, *window[1:]])
    return rows


def windows(ids: list[int], max_tokens: int) -> Iterator[list[int]]:
    """Parts of ``ids`` of at most ``max_tokens``, each beginning with the last token of the one before."""
    for start in range(0, max(1, len(ids) - 1), max_tokens - 1):
        yield ids[start : start + max_tokens]


def _whole(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> Iterator[list[int]]:
    require_end_of_sequence(tokenizer)
    # An empty list makes some tokenizers fail.
    if not texts:
        return
    opening = opening_ids(tokenizer)
    for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]:
        yield [*opening, *ids, tokenizer.eos_token_id]
