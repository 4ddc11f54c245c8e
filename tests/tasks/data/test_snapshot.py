import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import ArtifactDamagedError
from data_contracts.kept_tables import kept_digest, table_file
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split
from data_contracts.row_salts import opens
from tasks.data.checking.contract import check_contract, load_contract
from tasks.data.reading.sources import read_rows
from tasks.data.snapshot.freezing import freeze_snapshot
from tasks.data.tokens.tokenization import encode_split
from tests.tasks.data.conftest import WriteRows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


SALTS = ["row_salt", "row_commitment"]


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


def test_order_of_the_source_shows_in_the_salts_alone(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    records = [*rows(), rows()[5], {"text": "", "label": "x"}]
    first = frozen(write_rows("a.jsonl", records), tmp_path / "1", minilm)
    random.Random(0).shuffle(records)
    second = frozen(write_rows("b.jsonl", records), tmp_path / "2", minilm)
    assert first.rejected_rows == 2
    for name in (*(f"{split}.parquet" for split in Split), "rejected.parquet"):
        one, other = (pq.read_table(tmp_path / n / name).drop_columns(SALTS) for n in "12")
        assert one.equals(other)
    assert first.digest() != second.digest()


def test_every_row_has_a_salt_of_its_own_and_is_committed_to(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    records = [{**row, "channel": "é \U0001f600"} for row in rows()]
    records += [records[5], {"text": "", "label": "x", "channel": ""}]
    snapshot = frozen(write_rows("a.jsonl", records), tmp_path, minilm, keep=("channel",))
    files = [(tmp_path / record.file.path, record.file) for record in snapshot.splits]
    files.append((tmp_path / snapshot.rejected.path, snapshot.rejected))
    salts = []
    for path, record in files:
        assert record == table_file(path, record.texts)
        for row in pq.read_table(path).to_pylist():
            salts.append(row["row_salt"])
            texts = {name: row[name] for name in record.texts}
            assert opens(row["row_commitment"], row["row_salt"], texts)
    assert len(set(salts)) == 302
    assert {record.file.texts for record in snapshot.splits} == {("text", "channel")}
    assert snapshot.rejected.texts == ("text", "label")
    # The rows that passed keep the salts that they got when they were checked.
    checked = pq.read_table(tmp_path / "contract" / "accepted.parquet").to_pylist()
    assert {row["row_salt"] for row in checked} < set(salts)


def test_conversations_and_rows_of_any_shape_are_committed_to(
    write_rows: WriteRows, tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase"
) -> None:
    def talk(number: int) -> dict[str, Any]:
        return {"messages": [
            {"role": "user", "content": f"Where is door {number}?"},
            {"role": "assistant", "content": f"Behind door {number - 1}, Mädchen."},
        ]}  # fmt: skip

    records = [*(talk(number) for number in range(300)), {"messages": [{"role": 3}]}, {"messages": None}]
    evidence = check_contract(
        read_rows(DataSettings(source=str(write_rows("a.jsonl", records))), Task.INSTRUCTION),
        contract=load_contract(None, Task.INSTRUCTION),
        task=Task.INSTRUCTION,
        tokenizer=chat_tokenizer,
        max_tokens=64,
        splits=SplitSettings(),
        folder=tmp_path / "contract",
    )
    snapshot = freeze_snapshot(tmp_path / "contract", evidence, tmp_path)
    assert snapshot.rejected_rows == 2
    for record in (snapshot.split(Split.TRAIN).file, snapshot.rejected):
        assert record.texts == ("messages",)
        for row in pq.read_table(tmp_path / record.path).to_pylist():
            assert opens(row["row_commitment"], row["row_salt"], {"messages": row["messages"]})
        assert kept_digest(tmp_path / record.path, record.texts) == record.kept


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


def test_record_counts_what_the_files_hold(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase"
) -> None:
    snapshot = frozen(write_rows("a.jsonl", rows()), tmp_path, minilm)
    for record in snapshot.splits:
        frame = pd.read_parquet(tmp_path / record.file.path)
        assert list(frame.columns) == ["row_id", "text", "label", *SALTS]
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
        before, after = (
            pd.read_parquet(tmp_path / n / record.file.path).drop(columns=SALTS) for n in ("1", "2")
        )
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
