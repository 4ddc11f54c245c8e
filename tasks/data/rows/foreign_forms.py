"""Alpaca and ShareGPT: how rows in these forms become prompts and conversations, and how they are known."""

from collections.abc import Callable, Sequence
from typing import Any

from data_contracts.records.settings import DataForm

ALPACA_COLUMNS = ("instruction", "output")
ALPACA_INPUT = "input"
SHAREGPT_COLUMN = "conversations"

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
"""Speakers whose role is beyond doubt; any other keeps its name, and the rule on roles names the row."""

Head = Callable[[str], Sequence[Any]]
"""The first few values of a column."""


def forms_shown(found: Sequence[str], head: Head) -> tuple[DataForm, ...]:
    """The forms that the columns ``found`` and their first values show."""
    shown = []
    if set(ALPACA_COLUMNS) <= set(found):
        shown.append(DataForm.ALPACA)
    if SHAREGPT_COLUMN in found and says_from_and_value(head(SHAREGPT_COLUMN)):
        shown.append(DataForm.SHAREGPT)
    return tuple(shown)


def says_from_and_value(conversations: Sequence[Any]) -> bool:
    """Whether the first turn that is there has ``from`` and ``value`` and no role of its own."""
    turns = (turn for turns in conversations if isinstance(turns, list) for turn in turns)
    first = next((turn for turn in turns if isinstance(turn, dict)), {})
    present = {key for key, value in first.items() if value is not None}
    return {"from", "value"} <= present and not {"role", "content"} & present


def alpaca_prompts(instructions: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Each instruction, with a blank line and the input behind it where there is one."""
    return [_alpaca_prompt(*pair) for pair in zip(instructions, inputs, strict=True)]


def sharegpt_turns(value: Any) -> Any:
    """A conversation with ``role`` and ``content``; what is no turn of this form stays for rules to name."""
    if not isinstance(value, list):
        return value
    return [_turn(turn) for turn in value]


def _alpaca_prompt(instruction: Any, more: Any) -> Any:
    if not isinstance(instruction, str) or not isinstance(more, str) or not more.strip():
        return instruction
    return f"{instruction}\n\n{more}"


def _turn(turn: Any) -> Any:
    if not isinstance(turn, dict) or "from" not in turn or "value" not in turn:
        return turn
    speaker = turn["from"]
    # Other keys, such as a weight, go: they are no part of what is trained on.
    return {
        "role": _ROLES.get(speaker, speaker) if isinstance(speaker, str) else speaker,
        "content": turn["value"],
    }
