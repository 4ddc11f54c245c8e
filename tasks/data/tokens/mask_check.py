"""Whether the loss of a conversation is taken on its answers and on nothing that was asked."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def mask_fault(
    turns: Sequence[dict[str, str]],
    input_ids: Sequence[int],
    supervised: Sequence[bool],
    tokenizer: "PreTrainedTokenizerBase",
) -> str | None:
    """What is wrong with the mask of one whole conversation, in a few words; ``None`` if nothing is.

    The supervised tokens, as text, must hold every answer in its order, and the others whatever else of the
    turns the template wrote. White space and special tokens do not count, and neither does what the
    tokenizer itself makes of a text (such as lower case).
    """
    runs = [
        (marked, _text([token for token, _ in run], tokenizer))
        for marked, run in groupby(zip(input_ids, supervised, strict=True), key=itemgetter(1))
    ]
    said = "".join(text for marked, text in runs if marked)
    asked = "".join(text for marked, text in runs if not marked)
    written = "".join(text for _, text in runs)
    start = 0
    for number, turn in enumerate(turns, start=1):
        content = turn["content"]
        if turn["role"] == "assistant":
            place, start = _find(content, said, start, tokenizer)
            if place < 0:
                return f"turn {number}, whose answer is not what the loss would be taken on"
        # A template may leave out what is no answer.
        elif _find(content, asked, 0, tokenizer)[0] < 0 <= _find(content, written, 0, tokenizer)[0]:
            return f"turn {number} ({turn['role']}), of which tokens would be learned as an answer"
    return None


def _find(content: str, text: str, start: int, tokenizer: "PreTrainedTokenizerBase") -> tuple[int, int]:
    """Where ``content`` begins and ends in ``text`` from ``start`` on; -1 where it does not stand there."""
    plain = "".join(content.split())
    place = text.find(plain, start)
    if place < 0:
        plain = _text(tokenizer(content, add_special_tokens=False, verbose=False)["input_ids"], tokenizer)
        place = text.find(plain, start)
    return place, place + len(plain)


def _text(ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase") -> str:
    text = str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return "".join(text.split())
