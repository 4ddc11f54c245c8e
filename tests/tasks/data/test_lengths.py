from typing import TYPE_CHECKING

import pandas as pd
import pytest

from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.lengths import UNKNOWN, Cut, measure_chats, measure_pairs, measure_texts
from tasks.data.tokens.tokenization import encode_split

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase


@pytest.mark.parametrize("max_tokens", [4, 6, 64])
def test_lengths_of_pairs_are_those_of_the_encoding(
    tmp_path: "Path", chat_tokenizer: "PreTrainedTokenizerBase", max_tokens: int
) -> None:
    rows = [("one two three", "four five six"), ("one ", "two"), ("", "one"), ("one", " two\nthree")]
    frame = pd.DataFrame(rows, columns=["prompt", "completion"]).assign(row_id=list("abcd"))
    frame.to_parquet(tmp_path / "rows.parquet")
    encoded = encode_split(
        tmp_path / "rows.parquet",
        task=Task.INSTRUCTION,
        tokenizer=chat_tokenizer,
        max_tokens=max_tokens,
        labels=(),
    )
    counts = measure_pairs(list(frame["prompt"]), list(frame["completion"]), chat_tokenizer, max_tokens)
    supervised = [sum(label != IGNORED_LABEL for label in labels) for labels in encoded["labels"]]
    assert counts.supervised_tokens.tolist() == supervised
    assert counts.prompt_tokens.tolist() == [len(ids) for ids in encoded["prompt_ids"]]
    assert (counts.tokens > max_tokens).tolist() == encoded["truncated"][:]


@pytest.mark.parametrize(
    ("max_tokens", "cut"),
    [(8, Cut.NOTHING), (7, Cut.PART_OF_ANSWER), (4, Cut.ANSWER), (3, Cut.PROMPT)],
)
def test_what_is_cut_is_named(chat_tokenizer: "PreTrainedTokenizerBase", max_tokens: int, cut: Cut) -> None:
    # [CLS] and three words before the answer, three words and the end of sequence in it.
    counts = measure_pairs(["one two three"], ["four five six"], chat_tokenizer, max_tokens)
    assert counts.tokens.tolist() == [8]
    assert counts.cut.tolist() == [cut]


def test_cut_of_a_text_and_of_a_conversation(chat_tokenizer: "PreTrainedTokenizerBase") -> None:
    assert measure_texts(["one two three"], chat_tokenizer, 4).cut.tolist() == [Cut.TEXT]
    talk = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two three"}]
    whole = measure_chats([talk], chat_tokenizer, 64, ["a"])
    length, prompt = int(whole.tokens[0]), int(whole.prompt_tokens[0])
    cuts = [
        int(measure_chats([talk], chat_tokenizer, n, ["a"]).cut[0]) for n in range(prompt - 1, length + 1)
    ]
    assert cuts[:2] == [Cut.PROMPT, Cut.ANSWER]
    assert set(cuts[2:-1]) <= {Cut.PART_OF_ANSWER, Cut.BEHIND_ANSWER}
    assert cuts[-1] == Cut.NOTHING


def test_a_conversation_that_the_template_refuses_has_no_length(
    chat_tokenizer: "PreTrainedTokenizerBase",
) -> None:
    chat_tokenizer.chat_template = (
        "{% for m in messages %}{% if m['content'] == 'no' %}{{ raise_exception('refused') }}{% endif %}"
        "{{ m['role'] }} {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}assistant {% endif %}"
    )
    talks = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": "b"}] for text in ("yes", "no")
    ]
    counts = measure_chats(talks, chat_tokenizer, 64, ["a", "b"])
    assert counts.rendered.tolist() == [True, False]
    assert counts.tokens[1] == UNKNOWN


def test_a_join_inside_a_token_is_told(chat_tokenizer: "PreTrainedTokenizerBase") -> None:
    counts = measure_pairs(
        ["say unbeliev", "say it", "say\n"], ["able things", " now", "it"], chat_tokenizer, 64
    )
    assert counts.joined.tolist() == [True, True, True]
    # Without a space of ours between them, which the data's own white space suppresses.
    counts = measure_pairs(["un\u00a0"], ["able"], chat_tokenizer, 64)
    assert counts.joined.tolist() == [True]
