"""What is computed of each row, so that rules can speak of lengths, roles, identities and splits."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.rows.columns import Form
from tasks.data.rows.row_batches import STRING, RowBatch
from tasks.data.rows.splitting import groups, questions, row_ids, split_of
from tasks.data.tokens.lengths import (
    UNKNOWN,
    Cut,
    TokenCounts,
    measure_chats,
    measure_continuations,
    measure_pairs,
    measure_texts,
    unmeasured,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLITS = tuple(Split)
NO_SPLIT = len(SPLITS)
"""Code of a split that is none of ``SPLITS``, which only data with splits of their own can have."""

Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Shape:
    """Whether conversations are well formed; for other forms ``None`` stands in its place."""

    turns_well_formed: Bools
    role_order_ok: Bools
    assistant_turns: np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class RowFacts:
    """What is known of each row of a batch."""

    row_ids: np.ndarray[Any, np.dtype[np.bytes_]]  # S32
    questions: np.ndarray[Any, np.dtype[np.bytes_]]  # S32
    """Digest of what the row asks, normalised."""
    splits: np.ndarray[Any, np.dtype[np.uint8]]
    """Index into ``SPLITS``, or ``NO_SPLIT``."""
    groups: np.ndarray[Any, np.dtype[np.uint64]]
    """Digest of the group's name; 0 where there is none."""
    usable: Bools
    """The row can be encoded."""
    counts: TokenCounts
    shape: Shape | None


def facts_of(
    batch: RowBatch, *, tokenizer: "PreTrainedTokenizerBase | None", max_tokens: int, shares: SplitSettings
) -> RowFacts:
    """The facts of a batch's rows; without a tokenizer their lengths in tokens are unknown.

    Raises:
        InputError: the tokenizer does not suit rows of this form.
    """
    identities = np.array(row_ids(batch), dtype="S32")
    asked, named = questions(batch), groups(batch)
    shape = _shape(batch.conversations) if batch.form is Form.MESSAGES else None
    usable = _usable(batch, shape)
    return RowFacts(
        row_ids=identities,
        questions=np.array([_digest(question) for question in asked], dtype="S32"),
        splits=_splits(batch, asked, named, shares),
        groups=np.array([_number(name) for name in named], dtype=np.uint64),
        usable=usable,
        counts=_lengths(batch, identities, usable, tokenizer, max_tokens),
        shape=shape,
    )


def _splits(
    batch: RowBatch, asked: Sequence[str], named: Sequence[str | None], shares: SplitSettings
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if "split" in batch.columns:
        codes = {split.value: code for code, split in enumerate(SPLITS)}
        values = batch.columns["split"].texts.to_pylist()
        return np.array([codes.get(value, NO_SPLIT) for value in values], dtype=np.uint8)
    keys = (question if name is None else name for question, name in zip(asked, named, strict=True))
    codes_of = {split: code for code, split in enumerate(SPLITS)}
    return np.array([codes_of[split_of(key, shares)] for key in keys], dtype=np.uint8)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _number(name: str | None) -> int:
    return 0 if name is None else int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") | 1


def _usable(batch: RowBatch, shape: Shape | None) -> Bools:
    if shape is not None:
        return shape.turns_well_formed & shape.role_order_ok
    whole: Bools = np.logical_and.reduce([column.kinds == STRING for column in batch.content])
    return whole


def _lengths(
    batch: RowBatch,
    identities: np.ndarray[Any, Any],
    usable: Bools,
    tokenizer: "PreTrainedTokenizerBase | None",
    max_tokens: int,
) -> TokenCounts:
    if tokenizer is None:
        return unmeasured(len(batch))
    chosen = np.flatnonzero(usable)
    # Equal rows have equal lengths; data with many duplicates would otherwise be tokenised many times.
    _, first, back = np.unique(identities[chosen], return_index=True, return_inverse=True)
    order = np.argsort(first)
    measured = chosen[first[order]]
    position_of = np.empty(len(order), dtype=np.int64)
    position_of[order] = np.arange(len(order))
    counts = _measured(batch, measured, tokenizer, max_tokens)
    return _spread(counts, len(batch), chosen, position_of[back])


def _measured(
    batch: RowBatch, rows: np.ndarray[Any, Any], tokenizer: "PreTrainedTokenizerBase", max_tokens: int
) -> TokenCounts:
    import pyarrow as pa

    if batch.form is Form.MESSAGES:
        conversations = [batch.conversations[row] for row in rows]
        places = [f"{batch.source_file}, row {batch.source_row + row}" for row in rows]
        return measure_chats(conversations, tokenizer, max_tokens, places)
    texts = [column.texts.take(pa.array(rows)).to_pylist() for column in batch.content]
    if batch.form is Form.CLASSIFICATION:
        return measure_texts(texts[0], tokenizer, max_tokens)
    if batch.form is Form.TEXT:
        return measure_continuations(texts[0], tokenizer)
    return measure_pairs(texts[0], texts[1], tokenizer, max_tokens)


def _spread(
    counts: TokenCounts, rows: int, chosen: np.ndarray[Any, Any], positions: np.ndarray[Any, Any]
) -> TokenCounts:
    """``counts`` at ``positions``, for the ``chosen`` of so many rows; what is unknown of the others."""

    def spread(values: np.ndarray[Any, Any], unknown: int | bool) -> np.ndarray[Any, Any]:
        whole = np.full(rows, unknown, dtype=values.dtype)
        whole[chosen] = values[positions]
        return whole

    return TokenCounts(
        tokens=spread(counts.tokens, UNKNOWN),
        supervised_tokens=spread(counts.supervised_tokens, UNKNOWN),
        prompt_tokens=spread(counts.prompt_tokens, UNKNOWN),
        cut=spread(counts.cut, Cut.NOTHING),
        rendered=spread(counts.rendered, True),
        joined=spread(counts.joined, True),
    )


def _shape(conversations: Sequence[Any]) -> Shape:
    return Shape(
        turns_well_formed=np.array([well_formed(turns) for turns in conversations], dtype=bool),
        role_order_ok=np.array([roles_in_order(turns) for turns in conversations], dtype=bool),
        assistant_turns=np.array([_roles(t).count("assistant") for t in conversations], dtype=np.int32),
    )


def well_formed(turns: Any) -> bool:
    """Whether every turn is a role and a content that is not blank, and nothing else."""
    return (
        isinstance(turns, list)
        and bool(turns)
        and all(
            isinstance(turn, dict)
            and set(turn) == {"role", "content"}
            and isinstance(turn["role"], str)
            and isinstance(turn["content"], str)
            and bool(turn["content"].strip())
            for turn in turns
        )
    )


def roles_in_order(turns: Any) -> bool:
    """After at most one system turn: user, assistant, user, ..., assistant."""
    roles = _roles(turns)
    talk = roles[1:] if roles[:1] == ["system"] else roles
    pairs, odd = divmod(len(talk), 2)
    return pairs > 0 and not odd and talk == ["user", "assistant"] * pairs


def _roles(turns: Any) -> list[object]:
    if not isinstance(turns, list):
        return []
    return [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
