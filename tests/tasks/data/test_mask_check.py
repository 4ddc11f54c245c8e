"""A mask that takes the loss on anything but the answers is refused, at the row and with the turn."""

from typing import TYPE_CHECKING

import pytest

from data_contracts.errors import InputError
from tasks.data.tokens.chat import ChatTokens, try_chats

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello there."},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Now we rest."},
]
BEFORE = "{% for m in messages %}<{{ m['role'] }}> "
BEHIND = " {% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
MARKED = "{% generation %}{{ m['content'] }}{% endgeneration %}"
PLAIN = "{{ m['content'] }}"


def only(role: str, written: str, others: str = PLAIN) -> str:
    return f"{{% if m['role'] == '{role}' %}}{written}{{% else %}}{others}{{% endif %}}"


def tried(tokenizer: "PreTrainedTokenizerBase", template: str) -> "ChatTokens | InputError":
    tokenizer.chat_template = BEFORE + template + BEHIND
    (found,) = try_chats([TALK], tokenizer, ["row 7"])
    return found


@pytest.mark.parametrize(
    "template",
    [
        only("assistant", MARKED),
        # Trimmed, framed, and with a system turn that the model never gets to see.
        only("assistant", "{% generation %}So: {{ m['content'] | trim }} [SEP]{% endgeneration %}"),
        only("system", "", only("assistant", MARKED)),
        # Without marks.
        PLAIN + " [SEP]",
    ],
)
def test_what_takes_the_loss_on_answers_is_taken(
    chat_tokenizer: "PreTrainedTokenizerBase", template: str
) -> None:
    assert isinstance(tried(chat_tokenizer, template), ChatTokens)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (MARKED, "turn 1 (system), of which tokens would be learned"),
        (only("user", MARKED), "turn 2 (user), of which tokens would be learned"),
        (only("system", PLAIN, MARKED), "turn 2 (user), of which tokens would be learned"),
        # For marks around nothing transformers marks all that follows.
        (only("assistant", "{% generation %}{% endgeneration %}{{ m['content'] }}"), "turn 4 (user)"),
        (
            only("assistant", MARKED.replace("}}", "| replace('rest', 'work') }}")),
            "turn 5, whose answer is not",
        ),
        (
            only("assistant", MARKED.replace("'] }}", "'][:6] }}") + "{{ m['content'][6:] }}"),
            "turn 3, whose answer is not",
        ),
    ],
    ids=["all", "the user", "user and answers", "nothing", "another answer", "half an answer"],
)
def test_what_does_not_is_refused_with_its_row_and_turn(
    chat_tokenizer: "PreTrainedTokenizerBase", template: str, told: str
) -> None:
    refusal = tried(chat_tokenizer, template)
    assert isinstance(refusal, InputError)
    assert "row 7" in str(refusal) and told in str(refusal)
