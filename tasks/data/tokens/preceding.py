"""How worked examples stand before a question: as blocks of plain text, or as earlier turns of a chat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from data_contracts.errors import InputError
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.chat import ChatTokens, Turns, encode_chats
from tasks.data.tokens.framing import opening_ids, separator

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

_BLOCK_ENDS = ("\n\n", "\n\n###\n\n", "\n\n=====\n\n")
_UNUSABLE = 2**62
"""The cost of a conversation that cannot stand before another one."""


@dataclass(frozen=True)
class Longer:
    """One row with the examples before its question."""

    input_ids: list[int]
    labels: list[int]
    prompt_ids: list[int]
    growth: int
    """Tokens that the examples add."""


@dataclass(frozen=True)
class Blocks:
    """For prompts with a completion: ``prompt completion``, an empty line, and so on.

    The empty line is then also where an answer ends. On SmolLM2-135M and words to phonemes (48 rows, 8
    examples) this gave a word error rate of 0.77; end-of-sequence tokens between the blocks gave 2.6, turns
    of a chat 3.1, and blocks without an end to the answer 1.6. A base that is asked in a way in which it
    does not know where to stop would be a straw man. Which examples they are matters too: another choice
    of 8 gave 1.11.
    """

    blocks: list[list[int]]
    """Token ids of each candidate."""
    end: str
    """Behind each block; the first of the known ones that stands in no candidate's answer."""
    tokenizer: "PreTrainedTokenizerBase"

    @classmethod
    def of(cls, candidates: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase") -> Self:
        pairs = list(zip(candidates["prompt"], candidates["completion"], strict=True))
        unused = [end for end in _BLOCK_ENDS if not any(end in answer for _, answer in pairs)]
        end = (unused or list(_BLOCK_ENDS))[0]
        texts = [f"{prompt}{separator(prompt, answer)}{answer}{end}" for prompt, answer in pairs]
        return cls(_plain_ids(tokenizer, texts), end, tokenizer)

    @property
    def costs(self) -> list[int]:
        return [len(block) for block in self.blocks]

    def before(self, frame: "pd.DataFrame", alone: "datasets.Dataset", chosen: Sequence[int]) -> list[Longer]:
        """The rows ``alone``, with the ``chosen`` candidates before each."""
        opening = opening_ids(self.tokenizer)
        prefix = [*opening, *(token for index in chosen for token in self.blocks[index])]
        growth = len(prefix) - len(opening)
        last = self._first_token_of_end()
        longer = []
        for row in alone:
            prompt_ids = prefix + row["prompt_ids"][len(opening) :]
            answer = row["input_ids"][len(row["prompt_ids"]) :]
            if answer and not row["truncated"]:
                # These examples teach to end with an empty line; the end of sequence was never shown.
                answer = [*answer[:-1], last]
            ids = (prompt_ids + answer)[: len(row["input_ids"]) + growth]
            labels = [IGNORED_LABEL] * min(len(prompt_ids), len(ids)) + answer
            longer.append(Longer(ids, labels, prompt_ids, growth))
        return longer

    def _first_token_of_end(self) -> int:
        # Behind a word, because some tokenizers put a space of their own before a text.
        word, ended = _plain_ids(self.tokenizer, ["a", f"a{self.end}"])
        return ended[len(word)] if len(ended) > len(word) else int(self.tokenizer.eos_token_id)


@dataclass(frozen=True)
class EarlierTurns:
    """For conversations: whole other conversations, less their system turns, behind the row's own one."""

    conversations: list[Turns]
    costs: list[int]
    tokenizer: "PreTrainedTokenizerBase"
    end: str | None = None
    """The chat template ends an answer."""

    @classmethod
    def of(cls, candidates: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase") -> Self:
        conversations = [_from_user_to_answer(turns) for turns in candidates["messages"]]
        usable = [index for index, turns in enumerate(conversations) if turns]
        places = [f"row {candidates['row_id'].iloc[index]}, as an example" for index in usable]
        encoded = encode_chats([conversations[index] for index in usable], tokenizer, places)
        costs = [_UNUSABLE] * len(conversations)
        for index, chat in zip(usable, encoded, strict=True):
            costs[index] = len(chat.input_ids)
        return cls(conversations, costs, tokenizer)

    def before(self, frame: "pd.DataFrame", alone: "datasets.Dataset", chosen: Sequence[int]) -> list[Longer]:
        """The rows ``alone``, with the ``chosen`` candidates before each."""
        places = [f"row {identity}" for identity in frame["row_id"]]
        own = [[dict(turn) for turn in turns] for turns in frame["messages"]]
        examples = [turn for index in chosen for turn in self.conversations[index]]
        preceded = [_behind_system(turns, examples) for turns in own]
        pairs = zip(
            encode_chats(own, self.tokenizer, places),
            encode_chats(preceded, self.tokenizer, places),
            alone["input_ids"],
            places,
            strict=True,
        )
        return [_longer(bare, full, len(kept), place) for bare, full, kept, place in pairs]


def _longer(bare: ChatTokens, full: ChatTokens, kept: int, place: str) -> Longer:
    """``full`` with only the answers of ``bare`` supervised, cut where ``bare`` is cut to ``kept`` tokens."""
    answers = [token for token, marked in zip(bare.input_ids, bare.supervised, strict=True) if marked]
    marked = [index for index, mark in enumerate(full.supervised) if mark][-len(answers) :]
    if [full.input_ids[index] for index in marked] != answers:
        raise InputError.single(
            place,
            expected="a chat template that renders an answer alike behind other turns",
            found="one that does not, so that examples would change what is asked for",
            remedy="ask the base without examples, or choose another model",
        )
    labels = [IGNORED_LABEL] * len(full.input_ids)
    for index, token in zip(marked, answers, strict=True):
        labels[index] = token
    growth = len(full.prompt_ids) - len(bare.prompt_ids)
    return Longer(full.input_ids[: kept + growth], labels[: kept + growth], full.prompt_ids, growth)


def _from_user_to_answer(turns: Any) -> Turns:
    """The turns from the user's first to the assistant's last; empty if an assistant's comes before."""
    spoken: Turns = [dict(turn) for turn in turns if turn["role"] != "system"]
    answers = [index for index, turn in enumerate(spoken) if turn["role"] == "assistant"]
    return spoken[: answers[-1] + 1] if answers and spoken[0]["role"] == "user" else []


def _behind_system(turns: Turns, examples: Turns) -> Turns:
    start = next((index for index, turn in enumerate(turns) if turn["role"] != "system"), len(turns))
    return turns[:start] + examples + turns[start:]


def _plain_ids(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    # An empty list makes some tokenizers fail.
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
