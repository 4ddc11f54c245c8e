"""How far the training data lies from what the base model already knows."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.progress import Progress, silent
from data_contracts.records.base import digest_file
from data_contracts.records.evidence import BaseModelRecord, DomainDistance, TextMeasure
from data_contracts.records.metrics import Task
from data_contracts.records.settings import Precision
from tasks.training.base_model import generates_text
from tasks.training.continuation import bits_per_byte
from tasks.training.general_text import (
    GENERAL_TEXT,
    PredictedText,
    general_sentences,
    plain_text,
    predicted_text,
)
from tasks.training.loading import Head, load_base
from tasks.training.methods.kinds import Model

_NO_LOSS = "{architecture} has no head that predicts the next token, so that no loss is defined"


def domain_distance(
    base: BaseModelRecord,
    rows: Any,
    tokenizer: Any,
    *,
    precision: Precision = Precision.FLOAT32,
    progress: Progress = silent,
) -> DomainDistance:
    """The bare base on ``rows``, beside the same on the general text.

    ``rows`` are encoded rows. Of an instruction task the answers are measured, given what stands before
    them; of other tasks the whole texts. A model without a language-modelling head is not
    loaded: for it only the tokens a word takes are counted.

    Raises:
        InputError: ``rows`` hold nothing to measure.
    """
    data = _predicted(rows, tokenizer)
    if not data.tokens.any():
        raise InputError.single(
            "domain distance",
            expected="rows with tokens to predict",
            found=f"none in {len(data.tokens)} rows",
            remedy="raise model.max_tokens, so that answers are not cut off",
        )
    general = plain_text(general_sentences(), tokenizer)
    model = _language_model(base, precision)
    return DomainDistance(
        data=_measured(model, data, tokenizer, progress, "distance, data"),
        general=_measured(model, general, tokenizer, progress, "distance, general text"),
        general_text=digest_file(GENERAL_TEXT),
        loss_undefined=None if model else _NO_LOSS.format(architecture=base.architecture),
    )


def _predicted(rows: Any, tokenizer: Any) -> PredictedText:
    instruction = "prompt_ids" in rows.column_names
    input_ids = list(rows["input_ids"])
    every = predicted_text(input_ids, list(rows["labels"]) if instruction else input_ids, tokenizer)
    some = np.flatnonzero(every.tokens)
    return PredictedText(
        input_ids=tuple(every.input_ids[index] for index in some),
        labels=tuple(every.labels[index] for index in some),
        tokens=every.tokens[some],
        words=every.words[some],
        utf8_bytes=every.utf8_bytes[some],
    )


def _language_model(base: BaseModelRecord, precision: Precision) -> Model | None:
    if not generates_text(base):
        return None
    return load_base(Path(base.folder), Head(Task.INSTRUCTION, (), precision=precision)).model.eval()


def _measured(
    model: Model | None, text: PredictedText, tokenizer: Any, progress: Progress, what: str
) -> TextMeasure:
    tokens, utf8_bytes = int(text.tokens.sum()), int(text.utf8_bytes.sum())
    losses = text.losses(model, tokenizer, progress=progress, what=what) if model else None
    nats = _weighted_mean(losses, text.tokens) if losses is not None else None
    return TextMeasure(
        rows=len(text.tokens),
        tokens=tokens,
        utf8_bytes=utf8_bytes,
        tokens_per_word=tokens / max(1, int(text.words.sum())),
        nats_per_token=nats,
        bits_per_byte=None if nats is None else bits_per_byte(nats, tokens=tokens, utf8_bytes=utf8_bytes),
    )


def _weighted_mean(losses: NDArray[np.float64], tokens: NDArray[np.int64]) -> float:
    return float(np.average(losses, weights=tokens))
