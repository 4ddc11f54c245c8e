"""Conversations as token ids, with only the assistant's turns supervised."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from data_contracts.errors import InputError
from tasks.data.tokens.mask_check import mask_fault

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Turns = list[dict[str, str]]

T = TypeVar("T")

_MARK = re.compile(r"\{%-?\s*generation\b")


@dataclass(frozen=True)
class ChatTokens:
    """One conversation."""

    input_ids: list[int]
    supervised: list[bool]
    """Per token: it belongs to an assistant's content or ends an assistant's turn, be it with the end of
    sequence or with a special token of the template's own."""
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
    encoded = []
    for chat in try_chats(conversations, tokenizer, places):
        if isinstance(chat, InputError):
            raise chat
        encoded.append(chat)
    return encoded


def try_chats(
    conversations: Sequence[Turns], tokenizer: "PreTrainedTokenizerBase", places: Sequence[str]
) -> list[ChatTokens | InputError]:
    """As :func:`encode_chats`, with what stands in the way in the place of a conversation that is refused.

    Raises:
        InputError: the model has no chat template.
    """
    require_template(tokenizer)
    found = _masked(conversations, tokenizer, places)
    return [
        chat if isinstance(chat, InputError) else _tried(partial(_checked, turns, chat, tokenizer, place))
        for turns, chat, place in zip(conversations, found, places, strict=True)
    ]


def _masked(
    conversations: Sequence[Turns], tokenizer: "PreTrainedTokenizerBase", places: Sequence[str]
) -> list[ChatTokens | InputError]:
    pairs = list(zip(conversations, places, strict=True))
    if has_generation_marks(tokenizer):
        return [_tried(partial(_by_template_marks, turns, tokenizer, place)) for turns, place in pairs]
    rendered = [_tried(partial(_prefixes, turns, tokenizer, place)) for turns, place in pairs]
    # One call for the whole batch, and each text once: the last prefix is often the whole conversation.
    texts = list(dict.fromkeys(t for group in rendered if isinstance(group, list) for t in group))
    ids = dict(zip(texts, _ids(tokenizer, texts) if texts else [], strict=True))
    special = _special_ids(tokenizer)
    return [
        group
        if isinstance(group, InputError)
        else _tried(partial(_by_prefixes, turns, group, ids, tokenizer, special, place))
        for (turns, place), group in zip(pairs, rendered, strict=True)
    ]


def require_template(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Returns only if conversations can be written for the model; raises ``InputError`` otherwise."""
    if not tokenizer.chat_template:
        raise InputError.single(
            "model.source",
            expected="a model whose tokenizer has a chat template, because the data are conversations",
            found="no chat template",
            remedy="choose an instruction-tuned model, or give the data as prompt and completion",
        )


def has_generation_marks(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the chat template itself says which tokens are the assistant's."""
    return bool(_MARK.search(str(tokenizer.chat_template)))


def _checked(turns: Turns, chat: ChatTokens, tokenizer: "PreTrainedTokenizerBase", place: str) -> ChatTokens:
    fault = mask_fault(turns, chat.input_ids, chat.supervised, tokenizer)
    if fault is not None:
        raise InputError.single(
            place,
            expected="a chat template under which the loss is taken on the answers alone, as they are given",
            found=fault,
            remedy="correct the template's {% generation %} marks or what it does with an answer, or choose "
            "another model",
        )
    return chat


def _tried(make: Callable[[], T]) -> T | InputError:
    try:
        return make()
    except InputError as refusal:
        return refusal


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
        # Rendering takes most of the time, and most conversations end with their last answer.
        last = index + 1 == len(turns)
        texts.append(texts[0] if last else _render(tokenizer, turns[: index + 1], place))
    return texts


def _by_prefixes(
    turns: Turns,
    texts: list[str],
    ids: dict[str, list[int]],
    tokenizer: "PreTrainedTokenizerBase",
    special: frozenset[int],
    place: str,
) -> ChatTokens:
    whole = ids[texts[0]]
    supervised = [False] * len(whole)
    # Looked up once: the tokenizer searches its vocabulary each time.
    end_of_sequence = tokenizer.eos_token_id
    for index, text_before, text in zip(_answers(turns), texts[1::2], texts[2::2], strict=True):
        before, through = ids[text_before], ids[text]
        if whole[: len(through)] != through or through[: len(before)] != before:
            raise InputError.single(
                place,
                expected="a chat template under which a conversation begins with its own earlier turns",
                found="a template that renders earlier turns anew, which hides where an answer begins",
                remedy="use a template with {% generation %} marks, split the conversation so that each row "
                "has one answer, or choose another model",
            )
        # Templates put a line break behind the end-of-turn token that the model never has to write.
        ends = [i for i in range(len(before), len(through)) if through[i] == end_of_sequence]
        if ends:
            end = ends[-1] + 1
        else:
            said = _through_content(text, len(text_before), turns[index]["content"])
            end = _end_of_turn(through, _ids(tokenizer, [said])[0], special)
        supervised[len(before) : end] = [True] * (end - len(before))
    return ChatTokens(input_ids=list(whole), supervised=supervised, prompt_ids=ids[texts[-2]])


def _through_content(text: str, start: int, content: str) -> str:
    """``text`` less what stands behind ``content``; all of it if the template writes another content."""
    content = content.strip()
    position = text.rfind(content, start)
    return text if position < 0 else text[: position + len(content)]


def _end_of_turn(through: list[int], said: list[int], special: frozenset[int]) -> int:
    """Behind the first special token after what was ``said``, or the end where none comes."""
    # Counted, because the content may hold special tokens too (an unknown character is one), and its last
    # token may be another one where more text follows.
    ends = [index for index, token in enumerate(through) if token in special]
    passed = sum(token in special for token in said)
    return ends[passed] + 1 if passed < len(ends) else len(through)


def _special_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Every special token's id, those included that the tokenizer has under no name."""
    added = (index for index, token in tokenizer.added_tokens_decoder.items() if token.special)
    return frozenset((*tokenizer.all_special_ids, *added))


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
