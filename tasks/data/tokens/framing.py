"""What stands around a text: the tokens before it, what parts a prompt from its answer, and the end."""

from typing import TYPE_CHECKING

from data_contracts.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def require_end_of_sequence(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Returns only if the tokenizer has a token that ends an answer; raises ``InputError`` otherwise."""
    if tokenizer.eos_token_id is None:
        raise InputError.single(
            "model.source",
            expected="a tokenizer with an end-of-sequence token",
            found="none, so a model could not learn to stop",
            remedy="choose a generative model for an instruction or completion task",
        )


def separator(prompt: str, completion: str) -> str:
    """What parts a prompt from its answer: a space, or nothing where either brings white space."""
    return "" if not prompt or prompt[-1].isspace() or completion[:1].isspace() else " "


def opening_ids(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The special tokens that the tokenizer puts before a text, such as beginning-of-sequence."""
    plain: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    special: list[int] = tokenizer("a")["input_ids"]
    starts = range(len(special) - len(plain) + 1)
    return special[: next(start for start in starts if special[start : start + len(plain)] == plain)]
