"""A snapshot's rows as the model sees them."""

from pathlib import Path
from typing import Any

from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.snapshot import Snapshot, Split
from tasks.data.tokenization import encode_split, load_tokenizer
from tasks.evidence.store import Stored
from tasks.stages.context import RunContext
from tasks.training.rungs import Head


def head_of(snapshot: Snapshot, tokenizer: Any) -> Head:
    return Head(task=snapshot.task, labels=snapshot.labels, pad_token_id=tokenizer.pad_token_id)


def tokenizer_of(base: BaseModelRecord) -> Any:
    return load_tokenizer(Path(base.folder))


def encoded(context: RunContext, base: BaseModelRecord, snapshot: Stored[Snapshot], split: Split) -> Any:
    """One split as a ``datasets.Dataset`` of token ids; see ``tasks.data.tokenization.encode_split``."""
    record = snapshot.record
    return encode_split(
        snapshot.folder / record.split(split).file.path,
        task=record.task,
        tokenizer=tokenizer_of(base),
        max_tokens=context.settings.model.max_tokens,
        labels=record.labels,
    )
