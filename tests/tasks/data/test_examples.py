"""Worked examples stand before every question alike, and change nothing of what is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.examples import EncodedWithExamples, encode_with_examples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAIN = {
    "row_id": ["c", "a", "b"],
    "prompt": ["three", "one", "two"],
    "completion": ["3", "1", "2 " * 30],
}
ASKED = {"row_id": ["x", "y"], "prompt": ["four", "five five"], "completion": ["4", "5"]}


def table(path: Path, columns: dict[str, list[Any]]) -> Path:
    pd.DataFrame(columns).to_parquet(path)
    return path


def encode(
    folder: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    asked: dict[str, list[Any]] = ASKED,
    train: dict[str, list[Any]] = TRAIN,
    count: int = 2,
    max_tokens: int = 16,
    positions: int | None = None,
) -> EncodedWithExamples:
    return encode_with_examples(
        table(folder / "asked.parquet", asked),
        table(folder / "train.parquet", train),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        count=count,
        positions=positions,
        answer_tokens=4,
    )


def prompts(tokenizer: "PreTrainedTokenizerBase", encoded: EncodedWithExamples) -> list[str]:
    return [str(tokenizer.decode(ids)) for ids in encoded.rows["prompt_ids"]]


def test_short_examples_come_in_the_order_of_their_ids(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    encoded = encode(tmp_path, chat_tokenizer)
    # "b" is too long; MiniLM's tokenizer drops the empty lines.
    assert encoded.example_ids == ("a", "c")
    assert prompts(chat_tokenizer, encoded) == ["[CLS] one 1 three 3 four", "[CLS] one 1 three 3 five five"]
    assert encoded.example_tokens == 4
    assert encoded.rows["answer_end"][:] == ["\n\n", "\n\n"]
    assert encoded.rows["reference"][:] == ["4", "5"]
    for row in encoded.rows:
        start = len(row["prompt_ids"])
        assert row["input_ids"][:start] == row["prompt_ids"]
        assert row["labels"] == [IGNORED_LABEL] * start + row["input_ids"][start:]
        assert len(row["input_ids"]) == start + 2


def test_an_answer_is_cut_where_it_is_cut_without_examples(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    asked = {"row_id": ["x"], "prompt": ["four"], "completion": ["4 " * 20]}
    (row,) = encode(tmp_path, chat_tokenizer, asked=asked, max_tokens=8).rows
    assert row["truncated"]
    assert sum(label != IGNORED_LABEL for label in row["labels"]) == 8 - 2
    assert len(row["input_ids"]) == len(row["labels"]) == 8 + 4
    asked = {"row_id": ["x"], "prompt": ["four " * 20], "completion": ["4"]}
    (row,) = encode(tmp_path, chat_tokenizer, asked=asked, max_tokens=8).rows
    assert len(row["input_ids"]) == len(row["labels"]) == 8 + 4
    assert set(row["labels"]) == {IGNORED_LABEL}


@pytest.mark.parametrize(("positions", "used"), [(100, 2), (11, 2), (10, 1), (9, 1), (8, 0), (4, 0)])
def test_fewer_examples_are_used_where_more_do_not_fit(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase", positions: int, used: int
) -> None:
    # [CLS] five five and 4 tokens to be generated take 7; each example takes 2.
    encoded = encode(tmp_path, chat_tokenizer, positions=positions)
    assert len(encoded.example_ids) == used
    assert encoded.example_tokens == 2 * used
    assert ("answer_end" in encoded.rows.column_names) == (used > 0)
    assert all(len(ids) + 4 <= positions for ids in encoded.rows["prompt_ids"]) or used == 0


def test_more_examples_than_there_are_rows(tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase") -> None:
    assert len(encode(tmp_path, chat_tokenizer, count=9, max_tokens=64).example_ids) == 3
    none = {name: values[:0] for name, values in TRAIN.items()}
    assert encode(tmp_path, chat_tokenizer, train=none).example_ids == ()


def test_a_row_never_stands_among_its_own_examples(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    encoded = encode(tmp_path, chat_tokenizer, asked={**ASKED, "row_id": ["a", "y"]})
    assert encoded.example_ids == ("c",)


def test_blocks_end_with_what_stands_in_no_answer(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    train = {**TRAIN, "completion": ["3\n\nthree", "1", "2"]}
    encoded = encode(tmp_path, chat_tokenizer, train=train)
    assert encoded.rows["answer_end"][0] == "\n\n###\n\n"
    assert prompts(chat_tokenizer, encoded)[0] == "[CLS] one 1 # # # two 2 # # # four"
    # The end of a block stands where the end of sequence would: the examples never showed that one.
    assert chat_tokenizer.decode(encoded.rows["input_ids"][0]).endswith("four 4 #")


def talk(question: str, answer: str, system: str | None = None) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"role": "system", "content": system}, *turns] if system else turns


TALKS = {"row_id": ["b", "a"], "messages": [talk("two", "2"), talk("one", "1", "be brief")]}
ASKED_TALK = {
    "row_id": ["x"],
    "messages": [[*talk("four", "4", "be kind"), *talk("five", "5")]],
}


def test_conversations_are_earlier_turns_behind_the_rows_own_system_turn(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    encoded = encode(tmp_path, chat_tokenizer, asked=ASKED_TALK, train=TALKS, max_tokens=64)
    assert encoded.example_ids == ("a", "b")
    assert "answer_end" not in encoded.rows.column_names
    (row,) = encoded.rows
    assert chat_tokenizer.decode(row["prompt_ids"]) == (
        "< system > be kind [SEP] < user > one [SEP] < assistant > 1 [SEP] < user > two [SEP] < assistant > "
        "2 [SEP] < user > four [SEP] < assistant > 4 [SEP] < user > five [SEP] < assistant >"
    )
    supervised = [token for token in row["labels"] if token != IGNORED_LABEL]
    assert chat_tokenizer.decode(supervised) == "4 [SEP] 5 [SEP]"
    assert row["input_ids"][: len(row["prompt_ids"])] == row["prompt_ids"]


def test_a_conversation_that_begins_with_the_assistant_is_no_example(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    train = {"row_id": ["a", "b"], "messages": [talk("one", "1")[1:], talk("two", "2")]}
    encoded = encode(tmp_path, chat_tokenizer, asked=ASKED_TALK, train=train, max_tokens=64)
    assert encoded.example_ids == ("b",)


def test_a_template_under_which_examples_would_change_the_answer_is_refused(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    chat_tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }} {% if m['role'] == 'assistant' %}{% generation %}"
        "{{ m['content'] }} {{ messages | length }}{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}"
        " {% endfor %}{% if add_generation_prompt %}assistant {% endif %}"
    )
    with pytest.raises(InputError, match=r"row x(.|\n)*behind other turns"):
        encode(tmp_path, chat_tokenizer, asked=ASKED_TALK, train=TALKS, max_tokens=64)
