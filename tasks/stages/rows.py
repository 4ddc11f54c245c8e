"""A snapshot's rows as the model sees them."""

from pathlib import Path
from typing import Any

from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import Snapshot, Split
from tasks.data.tokens.examples import EncodedWithExamples, encode_with_examples
from tasks.data.tokens.tokenization import encode_split, load_tokenizer
from tasks.evidence.store import Stored
from tasks.stages.context import RunContext
from tasks.training.loading import Head


def head_of(context: RunContext, snapshot: Snapshot, tokenizer: Any) -> Head:
    precision = context.settings.model.precision
    return Head(snapshot.task, snapshot.labels, tokenizer.pad_token_id, precision)


def tokenizer_of(base: BaseModelRecord) -> Any:
    return load_tokenizer(Path(base.folder))


def encoded(context: RunContext, base: BaseModelRecord, snapshot: Stored[Snapshot], split: Split) -> Any:
    """One split as a ``datasets.Dataset`` of token ids; as ``encode_split`` makes them."""
    record = snapshot.record
    return encode_split(
        snapshot.folder / record.split(split).file.path,
        task=record.task,
        tokenizer=tokenizer_of(base),
        max_tokens=context.settings.model.max_tokens,
        labels=record.labels,
    )


def count_encoded(
    context: RunContext, base: BaseModelRecord, snapshot: Stored[Snapshot], split: Split
) -> int:
    """How many rows ``encoded`` gives: more than were frozen only where long texts become windows."""
    if snapshot.record.task is not Task.COMPLETION:
        return snapshot.record.split(split).rows
    return len(encoded(context, base, snapshot, split))


def encoded_with_examples(
    context: RunContext, base: BaseModelRecord, snapshot: Stored[Snapshot], split: Split, *, count: int
) -> EncodedWithExamples:
    """One split with worked examples from ``train`` before each question."""
    record, settings = snapshot.record, context.settings
    return encode_with_examples(
        snapshot.folder / record.split(split).file.path,
        snapshot.folder / record.split(Split.TRAIN).file.path,
        tokenizer=tokenizer_of(base),
        max_tokens=settings.model.max_tokens,
        count=count,
        positions=base.positions,
        answer_tokens=settings.generation.max_new_tokens,
    )
