"""Rows as token ids: what is trained on, what generation starts from, and what counts as an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.token_labels import IGNORED_LABEL
from tasks.data.rows.columns import CONTENT_COLUMNS, Form, form_of
from tasks.data.tokens.chat import encode_chats
from tasks.data.tokens.framing import opening_ids, require_end_of_sequence, separator
from tasks.data.tokens.windows import encode_windows

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase

_BATCH = 1000


@dataclass(frozen=True)
class _Encoded:
    input_ids: list[int]
    labels: list[int]
    tokens: int
    prompt_ids: list[int]
    reference: str


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a local model folder; it pads with end-of-sequence where it has no pad token.

    Padding is masked and never learned from, so which token stands there changes nothing.

    Raises:
        InputError: the folder holds no tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError.single(
            f"model.source, {folder}",
            expected="the model's tokenizer beside its weights, without code of its own",
            found=str(error).partition("\n")[0][:200] or type(error).__name__,
            remedy="save the tokenizer into the same folder (transformers' save_pretrained)",
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def encode_split(
    rows: Path,
    *,
    task: Task,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    labels: tuple[str, ...],
) -> "datasets.Dataset":
    """The rows of a snapshot's parquet file as ``row_id``, ``input_ids``, ``labels``, ``truncated``.

    ``labels`` is the index into ``labels`` for classification. Else it holds, per token, the id to be
    predicted or -100. For an instruction task ``prompt_ids`` (what generation starts from) and ``reference``
    (the expected answer) are added; a text to go on with becomes as many rows as it has windows.

    Raises:
        InputError: a row's label is not among ``labels``, or the tokenizer does not suit the data.
    """
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(rows)
    form = form_of(tuple(file.schema_arrow.names), task)
    schema = _schema(form)
    # Rows become compact arrays batch by batch; as Python lists each number would take four times the room.
    tables = [
        pa.table(_columns(batch.to_pandas(), form, tokenizer, max_tokens, labels), schema=schema)
        for batch in file.iter_batches(batch_size=_BATCH, columns=["row_id", *CONTENT_COLUMNS[form]])
    ]
    return datasets.Dataset(datasets.table.InMemoryTable(pa.concat_tables([schema.empty_table(), *tables])))


def _schema(form: Form) -> "pa.Schema":
    import pyarrow as pa

    ids = pa.list_(pa.int64())
    fields = [("row_id", pa.string()), ("input_ids", ids), ("truncated", pa.bool_())]
    if form is Form.CLASSIFICATION:
        return pa.schema([*fields, ("labels", pa.int64())])
    if form is Form.TEXT:
        return pa.schema([*fields, ("labels", ids)])
    return pa.schema([*fields, ("labels", ids), ("prompt_ids", ids), ("reference", pa.string())])


def _columns(
    frame: "pd.DataFrame",
    form: Form,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    labels: tuple[str, ...],
) -> dict[str, list[Any]]:
    if form is Form.TEXT:
        return encode_windows(list(frame["row_id"]), list(frame["text"]), tokenizer, max_tokens)
    places = [f"row {identity}" for identity in frame["row_id"]]
    encoded = list(_encode(frame, form, tokenizer, max_tokens, places))
    columns: dict[str, list[Any]] = {
        "row_id": list(frame["row_id"]),
        "input_ids": [row.input_ids for row in encoded],
        "truncated": [row.tokens > max_tokens for row in encoded],
    }
    if form is Form.CLASSIFICATION:
        return {**columns, "labels": _label_indexes(frame["label"], labels, places)}
    return {
        **columns,
        "labels": [row.labels for row in encoded],
        "prompt_ids": [row.prompt_ids for row in encoded],
        "reference": [row.reference for row in encoded],
    }


def _label_indexes(values: "pd.Series[Any]", labels: tuple[str, ...], places: Sequence[str]) -> list[int]:
    indexes = {label: index for index, label in enumerate(labels)}
    unknown = [place for place, value in zip(places, values, strict=True) if value not in indexes]
    if unknown:
        raise InputError.single(
            ", ".join(unknown[:5]),
            expected=f"a label among the {len(labels)} the snapshot knows",
            found=f"another label in {len(unknown)} rows",
            remedy="freeze the snapshot anew; its splits and its labels do not belong together",
        )
    return [indexes[value] for value in values]


def _encode(
    frame: "pd.DataFrame",
    form: Form,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    places: Sequence[str],
) -> Iterator[_Encoded]:
    encode = {
        Form.CLASSIFICATION: _encode_texts,
        Form.PROMPT_COMPLETION: _encode_pairs,
        Form.MESSAGES: _encode_messages,
    }[form]
    # An empty list makes some tokenizers fail.
    return encode(frame, tokenizer, max_tokens, places) if len(frame) else iter(())


def _encode_texts(
    batch: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase", max_tokens: int, places: Sequence[str]
) -> Iterator[_Encoded]:
    texts = list(batch["text"])
    whole: list[list[int]] = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    for text, ids in zip(texts, whole, strict=True):
        # Cut by the tokenizer, which keeps the special token that many encoders end with.
        kept = (
            ids
            if len(ids) <= max_tokens
            else tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]
        )
        yield _Encoded(list(kept), [], len(ids), [], "")


def _encode_pairs(
    batch: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase", max_tokens: int, places: Sequence[str]
) -> Iterator[_Encoded]:
    require_end_of_sequence(tokenizer)
    prompts, completions = list(batch["prompt"]), list(batch["completion"])
    opening = opening_ids(tokenizer)
    # Prompt and answer are tokenised apart, so that they join at a token boundary and generation goes
    # on from exactly the ids that training saw before the answer. One space parts them unless either
    # brings white space of its own; it belongs to the answer, as tokenizers attach it to the next word.
    joined = [separator(p, c) + c for p, c in zip(prompts, completions, strict=True)]
    before = tokenizer(prompts, add_special_tokens=False, verbose=False)["input_ids"]
    after = tokenizer(joined, add_special_tokens=False, verbose=False)["input_ids"]
    for prompt, answer, completion in zip(before, after, completions, strict=True):
        prompt_ids = opening + prompt
        ids = [*prompt_ids, *answer, tokenizer.eos_token_id]
        labels = [IGNORED_LABEL] * len(prompt_ids) + ids[len(prompt_ids) :]
        yield _Encoded(ids[:max_tokens], labels[:max_tokens], len(ids), prompt_ids, completion)


def _encode_messages(
    batch: "pd.DataFrame", tokenizer: "PreTrainedTokenizerBase", max_tokens: int, places: Sequence[str]
) -> Iterator[_Encoded]:
    conversations = [[dict(turn) for turn in turns] for turns in batch["messages"]]
    for turns, chat in zip(conversations, encode_chats(conversations, tokenizer, places), strict=True):
        labels = [
            token if supervised else IGNORED_LABEL
            for token, supervised in zip(chat.input_ids, chat.supervised, strict=True)
        ]
        reference = next(turn["content"] for turn in reversed(turns) if turn["role"] == "assistant")
        yield _Encoded(
            chat.input_ids[:max_tokens], labels[:max_tokens], len(labels), chat.prompt_ids, reference
        )
