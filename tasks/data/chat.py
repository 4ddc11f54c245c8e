"""Conversations as token ids, with only the assistant's turns supervised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Turns = list[dict[str, str]]


@dataclass(frozen=True)
class ChatTokens:
    """One conversation."""

    input_ids: list[int]
    supervised: list[bool]
    """Per token: it belongs to an assistant's content or ends an assistant's turn."""
    prompt_ids: list[int]
    """Everything before the last assistant's content, its header included."""


def encode_chats(
    conversations: Sequence[Turns], tokenizer: "PreTrainedTokenizerBase", places: Sequence[str]
) -> list[ChatTokens]:
    """Each conversation through the model's own chat template.

    Raises:
        InputError: the model has no template, it refuses a conversation, or it rewrites earlier turns
            so that the assistant's tokens cannot be found.
    """
    if not tokenizer.chat_template:
        raise InputError.single(
            "model.source",
            expected="a model whose tokenizer has a chat template, because the data are conversations",
            found="no chat template",
            remedy="choose an instruction-tuned model, or give the data as prompt and completion",
        )
    marked = "{% generation" in str(tokenizer.chat_template) or "{%- generation" in str(
        tokenizer.chat_template
    )
    pairs = list(zip(conversations, places, strict=True))
    if marked:
        return [_by_template_marks(turns, tokenizer, place) for turns, place in pairs]
    rendered = [_prefixes(turns, tokenizer, place) for turns, place in pairs]
    # One call for the whole batch, and each text once: the last prefix is often the whole conversation.
    texts = list(dict.fromkeys(text for group in rendered for text in group))
    ids = dict(zip(texts, _ids(tokenizer, texts), strict=True))
    return [
        _by_prefixes([ids[text] for text in group], tokenizer.eos_token_id, place)
        for group, place in zip(rendered, places, strict=True)
    ]


def _by_template_marks(turns: Turns, tokenizer: "PreTrainedTokenizerBase", place: str) -> ChatTokens:
    encoded = _render(
        tokenizer, turns, place, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    prompt = _render(tokenizer, turns[: _answers(turns)[-1]], place, add_generation_prompt=True)
    return ChatTokens(
        input_ids=list(encoded["input_ids"]),
        supervised=[bool(mark) for mark in encoded["assistant_masks"]],
        prompt_ids=_ids(tokenizer, [prompt])[0],
    )


def _prefixes(turns: Turns, tokenizer: "PreTrainedTokenizerBase", place: str) -> list[str]:
    """The whole conversation, then for each answer the text before it and the text through it."""
    texts = [_render(tokenizer, turns, place)]
    for index in _answers(turns):
        texts.append(_render(tokenizer, turns[:index], place, add_generation_prompt=True))
        texts.append(_render(tokenizer, turns[: index + 1], place))
    return texts


def _by_prefixes(ids: list[list[int]], eos: Any, place: str) -> ChatTokens:
    whole, *prefixes = ids
    supervised = [False] * len(whole)
    for before, through in zip(prefixes[::2], prefixes[1::2], strict=True):
        if whole[: len(through)] != through or through[: len(before)] != before:
            raise InputError.single(
                place,
                expected="a chat template under which a conversation begins with its own earlier turns",
                found="a template that renders earlier turns anew, which hides where an answer begins",
                remedy="use a template with {% generation %} marks, split the conversation so that each row "
                "has one answer, or choose another model",
            )
        end = _end_of_turn(through, len(before), eos)
        supervised[len(before) : end] = [True] * (end - len(before))
    return ChatTokens(input_ids=list(whole), supervised=supervised, prompt_ids=prefixes[-2])


def _end_of_turn(through: list[int], start: int, eos: Any) -> int:
    """Templates put a line break behind the end-of-turn token that the model never has to write."""
    ends = [index for index in range(start, len(through)) if through[index] == eos]
    return ends[-1] + 1 if ends else len(through)


def _answers(turns: Turns) -> list[int]:
    return [index for index, turn in enumerate(turns) if turn["role"] == "assistant"]


def _render(tokenizer: "PreTrainedTokenizerBase", turns: Turns, place: str, **options: Any) -> Any:
    try:
        return tokenizer.apply_chat_template(turns, **{"tokenize": False, **options})
    except Exception as error:
        raise InputError.single(
            place,
            expected="a conversation that the model's chat template accepts",
            found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200],
            remedy="change the roles of this row, or choose a model whose template has them",
        ) from error


def _ids(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    # The template has written the special tokens itself.
    encoded: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return encoded
