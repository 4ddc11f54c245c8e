"""Long texts become windows in which every token is predicted once, and counts say so beforehand."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.lengths import measure_continuations
from tasks.data.tokens.tokenization import encode_split
from tasks.data.tokens.windows import windows

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerBase

TEXTS = ["two plus two is four", "one", "word " * 23]


def encode(folder: Path, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> "datasets.Dataset":
    path = folder / "texts.parquet"
    pd.DataFrame({"row_id": ["a", "b", "c"], "text": TEXTS}).to_parquet(path)
    return encode_split(path, task=Task.COMPLETION, tokenizer=tokenizer, max_tokens=max_tokens, labels=())


@pytest.mark.parametrize("length", range(1, 30))
def test_every_token_but_the_first_is_predicted_once(length: int) -> None:
    ids = list(range(length))
    parts = list(windows(ids, 8))
    assert [token for part in parts for token in part[1:]] == ids[1:]
    assert parts[0][0] == 0 and all(1 <= len(part) <= 8 for part in parts)
    assert len(parts) == 1 or all(len(part) > 1 for part in parts)


def test_a_text_stands_between_its_opening_and_its_end(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    rows = encode(tmp_path, chat_tokenizer, 64)
    assert rows["row_id"][:] == ["a", "b", "c"] and not any(rows["truncated"])
    assert chat_tokenizer.decode(rows[0]["input_ids"]) == "[CLS] two plus two is four [SEP]"
    for row in rows:
        assert row["labels"] == [IGNORED_LABEL, *row["input_ids"][1:]]


def test_a_long_text_keeps_all_of_it(tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase") -> None:
    whole = encode(tmp_path, chat_tokenizer, 64)
    rows = encode(tmp_path, chat_tokenizer, 8)
    assert rows["row_id"][:] == ["a", "b", "c", "c", "c", "c"]
    assert not any(rows["truncated"])
    assert max(len(ids) for ids in rows["input_ids"]) == 8

    def predicted(encoded: "datasets.Dataset") -> list[int]:
        return [label for row in encoded for label in row["labels"] if label != IGNORED_LABEL]

    assert predicted(rows) == predicted(whole)


def test_lengths_are_known_before_anything_is_encoded(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    counts = measure_continuations(TEXTS, chat_tokenizer)
    rows = encode(tmp_path, chat_tokenizer, 64)
    assert counts.tokens.tolist() == [len(ids) for ids in rows["input_ids"]]
    supervised = [sum(label != IGNORED_LABEL for label in labels) for labels in rows["labels"]]
    assert counts.supervised_tokens.tolist() == supervised
    assert not counts.cut.any()


def test_a_model_that_cannot_stop_is_refused(tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> None:
    with pytest.raises(InputError, match="could not learn to stop"):
        encode(tmp_path, minilm, 8)
    with pytest.raises(InputError, match="could not learn to stop"):
        measure_continuations(TEXTS, minilm)
