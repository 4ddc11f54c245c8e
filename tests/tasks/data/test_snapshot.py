import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split
from tasks.data.checking.contract import check_contract, load_contract
from tasks.data.reading.sources import read_rows
from tasks.data.snapshot.freezing import freeze_snapshot
from tasks.data.tokens.tokenization import encode_split
from tests.tasks.data.conftest import WriteRows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def rows(count: int = 300) -> list[dict[str, Any]]:
    return [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(count)]


def checked(
    source: Path,
    folder: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    keep: tuple[str, ...] = (),
    reserve: float = 0.15,
) -> ContractEvidence:
    data = DataSettings(source=str(source), columns=ColumnSettings(keep=keep))
    return check_contract(
        read_rows(data, Task.CLASSIFICATION),
        contract=load_contract(None, Task.CLASSIFICATION),
        task=Task.CLASSIFICATION,
        tokenizer=tokenizer,
        max_tokens=64,
        splits=SplitSettings(reserve=reserve),
        folder=folder,
    )


def frozen(
    source: Path,
    folder: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    keep: tuple[str, ...] = (),
    reserve: float = 0.15,
) -> Snapshot:
    evidence = checked(source, folder / "contract", tokenizer, keep=keep, reserve=reserve)
    return freeze_snapshot(folder / "contract", evidence, folder)


def test_order_of_the_source_does_not_show_in_the_digest(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    records = [*rows(), rows()[5], {"text": "", "label": "x"}]
    first = frozen(write_rows("a.jsonl", records), tmp_path / "1", minilm)
    random.Random(0).shuffle(records)
    second = frozen(write_rows("b.jsonl", records), tmp_path / "2", minilm)
    assert first.rejected_rows == 2
    assert first.digest() == second.digest()


def test_growing_data_leave_every_row_in_its_split(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    frozen(write_rows("a.jsonl", rows(300)), tmp_path / "1", minilm)
    frozen(write_rows("b.jsonl", rows(400)), tmp_path / "2", minilm)
    for split in Split:
        before, after = (
            set(pd.read_parquet(tmp_path / n / f"{split}.parquet")["row_id"]) for n in ("1", "2")
        )
        assert before <= after


def test_one_changed_row_changes_the_digest(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    first = frozen(write_rows("a.jsonl", rows()), tmp_path / "1", minilm)
    changed = [{**rows()[0], "label": "y"}, *rows()[1:]]
    assert frozen(write_rows("b.jsonl", changed), tmp_path / "2", minilm).digest() != first.digest()


def test_record_counts_what_the_files_hold(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    snapshot = frozen(write_rows("a.jsonl", rows()), tmp_path, minilm)
    for record in snapshot.splits:
        frame = pd.read_parquet(tmp_path / record.file.path)
        assert list(frame.columns) == ["row_id", "text", "label"]
        assert record.rows == len(frame)
        assert record.label_counts == frame["label"].value_counts().sort_index().to_dict()
    assert sum(record.rows for record in snapshot.splits) == 300


def test_without_a_reserve_its_file_is_there_and_empty(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    snapshot = frozen(write_rows("a.jsonl", rows()), tmp_path, minilm, reserve=0.0)
    record = snapshot.split(Split.RESERVE)
    assert (record.rows, record.label_counts) == (0, {})
    path = tmp_path / record.file.path
    assert pq.read_schema(path) == pq.read_schema(tmp_path / "gate.parquet")
    encoded = encode_split(
        path, task=Task.CLASSIFICATION, tokenizer=minilm, max_tokens=64, labels=snapshot.labels
    )
    assert len(encoded) == 0


def test_kept_columns_come_last_and_change_neither_identity_nor_split(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    records = [{**row, "channel": "phone", "region": n} for n, row in enumerate(rows())]
    source = write_rows("a.jsonl", records)
    frozen(source, tmp_path / "1", minilm)
    snapshot = frozen(source, tmp_path / "2", minilm, keep=("region", "channel"))
    for record in snapshot.splits:
        before, after = (pd.read_parquet(tmp_path / n / record.file.path) for n in ("1", "2"))
        assert list(after.columns) == ["row_id", "text", "label", "region", "channel"]
        assert after[list(before.columns)].equals(before)
        assert [f"question {n}" for n in after["region"]] == list(after["text"])


def test_rows_that_do_not_belong_to_the_evidence_are_refused(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    evidence = checked(write_rows("a.jsonl", rows()), tmp_path / "1", minilm)
    checked(write_rows("b.jsonl", rows(200)), tmp_path / "1", minilm)
    with pytest.raises(ArtifactDamagedError, match="200 rows"):
        freeze_snapshot(tmp_path / "1", evidence, tmp_path / "snapshot")
