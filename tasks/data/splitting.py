"""Identities of rows, and splits that follow from content alone.

A row's split depends on its question (not on its answer, its position or its neighbours), so that it
stays where it is when the data grows, and the same question never lies in two splits.
"""

import hashlib
import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_contracts.records.base import canonical_json
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.columns import CONTENT_COLUMNS, Form

if TYPE_CHECKING:
    import pandas as pd


def row_id(content: Mapping[str, Any]) -> str:
    """First 32 hexadecimal digits of the sha256 of the content's canonical JSON (RFC 8785)."""
    return hashlib.sha256(canonical_json(dict(content))).hexdigest()[:32]


def row_ids(frame: "pd.DataFrame", form: Form) -> list[str]:
    """The identity of each row: equal content gives equal identities, on every machine."""
    names = CONTENT_COLUMNS[form]
    columns = [[_plain(value) for value in frame[name]] for name in names]
    return [row_id(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def content_keys(frame: "pd.DataFrame", form: Form) -> list[str]:
    """What each row asks, normalised: the text, the prompt, or all turns before the first answer.

    Every answer of a conversation is trained on, so two conversations that open alike ask the same.
    """
    column = frame[CONTENT_COLUMNS[form][0]]
    if form is Form.MESSAGES:
        return [_question_of(turns) for turns in column]
    return [normalise(value) for value in column]


def normalise(text: object) -> str:
    """Unicode NFKC, case folded, each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", str(text)).casefold().split())


def split_of(content_key: str, shares: SplitSettings) -> Split:
    """The split in whose share of [0, 1) the key's hash falls: train, tune, gate and reserve in this order.

    Reserve lies at the end, so that sealed rows stay sealed whatever becomes of the other shares.
    """
    # No key holds a line break, so the keys of one rotation are never those of another.
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
    return canonical_json(
        [[str(turn.get("role")), normalise(turn.get("content"))] for turn in opening_turns(turns)]
    ).decode()


def _plain(value: Any) -> Any:
    """``value`` as canonical JSON can hold it; numbers beyond its range become their text."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
