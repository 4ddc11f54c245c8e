"""Identities of rows, and splits that follow from content alone.

A row's split depends on its question (not on its answer, its position or its neighbours), so that it
stays where it is when the data grows, and the same question never lies in two splits.
"""

import hashlib
import itertools
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_contracts.records.base import canonical_json
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.rows.columns import CONTENT_COLUMNS, Form
from tasks.data.rows.row_batches import RowBatch

_quoted: Callable[[str], str] = json.encoder.encode_basestring


def row_id(content: Mapping[str, Any]) -> str:
    """First 32 hexadecimal digits of the sha256 of the content's canonical JSON (RFC 8785)."""
    return hashlib.sha256(canonical_json(dict(content))).hexdigest()[:32]


def row_ids(batch: RowBatch) -> list[str]:
    """The :func:`row_id` of each row: equal content gives equal identities, on every machine."""
    names = CONTENT_COLUMNS[batch.form]
    if batch.form is not Form.MESSAGES and all(column.only_strings for column in batch.content):
        return _ids_of_texts(names, [column.texts.to_pylist() for column in batch.content])
    columns = [[_plain(value) for value in batch.columns[name].values()] for name in names]
    return [row_id(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def _ids_of_texts(names: tuple[str, ...], columns: list[list[str]]) -> list[str]:
    """Canonical JSON of texts alone, which the standard library writes alike and much faster."""
    order = sorted(range(len(names)), key=lambda index: names[index])
    form = "{{" + ",".join(f'"{names[index]}":{{}}' for index in order) + "}}"
    quoted = [[_quoted(text) for text in columns[index]] for index in order]
    sha256 = hashlib.sha256
    return [sha256(form.format(*texts).encode()).hexdigest()[:32] for texts in zip(*quoted, strict=True)]


def questions(batch: RowBatch) -> list[str]:
    """What each row asks, normalised: the text, the prompt, or all turns before the first answer.

    Every answer of a conversation is trained on, so two conversations that open alike ask the same.
    """
    if batch.form is Form.MESSAGES:
        return [_question_of(turns) for turns in batch.conversations]
    return [normalise(value) for value in batch.content[0].values()]


def groups(batch: RowBatch) -> list[str | None]:
    """What keeps rows together beyond their question: the group's name, ``None`` where there is none."""
    if "group" not in batch.columns:
        return [None] * len(batch)
    return [f"group\n{text}" if text else None for text in batch.columns["group"].texts.to_pylist()]


def normalise(text: object) -> str:
    """Unicode NFKC, case folded, each run of white space as one space."""
    words = str(text)
    if not words.isascii():
        words = unicodedata.normalize("NFKC", words)
    return " ".join(words.casefold().split())


def split_of(content_key: str, shares: SplitSettings) -> Split:
    """The split in whose share of [0, 1) the key's hash falls: train, tune, gate and reserve in this order.

    Reserve lies at the end, so that sealed rows stay sealed whatever becomes of the other shares.
    """
    # Digits and a line break open no key, so the keys of one rotation are never those of another.
    # The first rotation is salted too: data that was itself sampled by a hash of its text, as is usual,
    # would else lie in one split.
    salted = f"{shares.rotation}\n{content_key}"
    position = int.from_bytes(hashlib.sha256(salted.encode()).digest()[:8], "big") / 2**64
    if position < shares.train:
        return Split.TRAIN
    if position < shares.train + shares.tune:
        return Split.TUNE
    return Split.RESERVE if 1.0 - position < shares.reserve else Split.GATE


def opening_turns(turns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The turns before the first answer: what a conversation asks."""
    return list(itertools.takewhile(lambda turn: turn.get("role") != "assistant", turns))


def _question_of(turns: Any) -> str:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return normalise(turns)
    asked = [[str(turn.get("role")), normalise(turn.get("content"))] for turn in opening_turns(turns)]
    # Of texts alone this is canonical JSON.
    return json.dumps(asked, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """``value`` as canonical JSON can hold it; numbers beyond its range become their text."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
