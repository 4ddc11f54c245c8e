"""A glance at the rows that a plan is about: how many, how long, how many labels, without a run."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from data_contracts.model_configs import converted_folder
from data_contracts.package_paths import PREFIX, resolve_package_path
from data_contracts.records.metrics import Task
from data_contracts.records.settings import RunSettings
from data_contracts.source_names import kind_of, packing_of, protocol_of

_MOST_BYTES = 200_000_000
"""Of files that are read whole; larger ones would take seconds."""
_SAMPLE = 500
"""Rows whose length is taken."""
_CHARACTERS_A_TOKEN = 4.0
"""Of English text under a usual vocabulary; taken where no tokenizer lies on this machine."""
_UNKNOWN_LABELS = 2


@dataclass(frozen=True)
class Glance:
    """What was seen of the data."""

    train_rows: int | None
    """By the share of the splits; ``None`` where counting would mean fetching."""
    labels: int
    """Of a classifier, at least 2; 0 for an instruction task."""
    mean_tokens: float
    """A row, cut to ``model.max_tokens``."""


def glance_at(settings: RunSettings) -> Glance:
    """Reads plain local jsonl and csv files; of any other data only the settings are known."""
    classifies = settings.task is Task.CLASSIFICATION
    rows = list(_rows(settings))
    if not rows:
        return Glance(None, _UNKNOWN_LABELS if classifies else 0, float(settings.model.max_tokens))
    column = settings.data.columns.label or "label"
    labels = len({str(row.get(column)) for row in rows}) if classifies else 0
    split = settings.data.columns.split
    train = (
        sum(row.get(split) == "train" for row in rows) if split else round(settings.splits.train * len(rows))
    )
    tokens, windows = _mean_tokens(settings, rows)
    known = max(_UNKNOWN_LABELS, labels) if classifies else 0
    return Glance(round(train * windows), known, tokens)


def _rows(settings: RunSettings) -> Iterator[dict[str, Any]]:
    source = settings.data.source
    path = Path(source)
    if source.startswith(PREFIX) or protocol_of(source) or packing_of(source) or not path.is_file():
        return
    if path.stat().st_size > _MOST_BYTES:
        return
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            if kind_of(source) == ".csv":
                yield from csv.DictReader(stream)
            elif kind_of(source) == ".jsonl":
                yield from (json.loads(line) for line in stream if line.strip())
    except (OSError, ValueError) as error:
        raise InputError.single(
            f"data.source {source}",
            expected="rows that can be read",
            found=str(error).partition("\n")[0][:200],
            remedy="see `lorafirst contract check`, which names every broken row",
        ) from error


def _mean_tokens(settings: RunSettings, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Of what is trained on at once, and how many of these a row makes: a long text becomes windows, which
    overlap by one token; any other row is cut."""
    every = max(1, len(rows) // _SAMPLE)
    texts = [_text(settings, row) for row in islice(rows, 0, None, every)]
    limit = settings.model.max_tokens
    lengths = _token_counts(settings.model.source, texts)
    if settings.task is not Task.COMPLETION:
        return max(1.0, sum(min(limit, length) for length in lengths) / len(lengths)), 1.0
    windows = [max(1, math.ceil((length - 1) / (limit - 1))) for length in lengths]
    held = sum(length + count - 1 for length, count in zip(lengths, windows, strict=True))
    return max(1.0, held / sum(windows)), sum(windows) / len(lengths)


def _text(settings: RunSettings, row: dict[str, Any]) -> str:
    columns = settings.data.columns
    if settings.task is not Task.INSTRUCTION:
        return str(row.get(columns.text or "text") or "")
    turns = row.get(columns.messages or "messages") or row.get("conversations")
    if isinstance(turns, list):
        return "\n".join(str(turn.get("content") or turn.get("value")) for turn in turns)
    names = (columns.prompt or "prompt", columns.completion or "completion", "instruction", "input", "output")
    return " ".join(str(row[name]) for name in names if row.get(name))


def _token_counts(source: str, texts: list[str]) -> list[float]:
    file = _tokenizer_file(source)
    if file is None:
        return [len(text) / _CHARACTERS_A_TOKEN for text in texts]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    # The file may say that texts are to be cut or padded to a length of its own.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [float(len(encoding.ids)) for encoding in tokenizer.encode_batch(texts)]


def _tokenizer_file(source: str) -> Path | None:
    path = resolve_package_path(source) if source.startswith(PREFIX) else Path(source)
    folder = converted_folder(path) if path.is_file() and path.suffix == ".gguf" else path
    file = None if folder is None else folder / "tokenizer.json"
    return file if file is not None and file.is_file() else None
