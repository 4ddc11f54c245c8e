"""New rows beside an earlier snapshot: counted by identity, compared, and kept from the gates' own rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from data_contracts.records.drift import DriftAspect
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import ContractEvidence, Split
from tasks.data.checking.arrivals import arrivals_in, drift_limits, fresh_rows
from tasks.data.checking.checked_rows import checked_tables
from tasks.data.checking.contract import ACCEPTED, REJECTED, SHIPPED, load_contract, parse_contract
from tasks.data.tokens.tokenization import encode_split
from tests.tasks.data.conftest import WriteRows
from tests.tasks.data.test_snapshot import checked, frozen, rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@pytest.fixture
def earlier(write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase") -> Path:
    """The snapshot of 300 rows."""
    frozen(write_rows("before.jsonl", rows()), tmp_path / "earlier", minilm)
    return tmp_path / "earlier"


def checked_with_tables(source: Path, folder: Path, tokenizer: Any) -> ContractEvidence:
    evidence = checked(source, folder, tokenizer)
    accepted, rejected = checked_tables(folder / ACCEPTED, folder / REJECTED, Task.CLASSIFICATION)
    return evidence.model_copy(update={"accepted": accepted, "rejected": rejected})


def test_rows_are_counted_by_identity_and_the_new_alone_are_compared(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase", earlier: Path
) -> None:
    others = [{"text": f"please pay invoice number {n} by friday", "label": "xyz"[n % 3]} for n in range(90)]
    now = [*rows()[30:], *others]
    checked(write_rows("now.jsonl", now), tmp_path / "now", minilm)
    found = arrivals_in(tmp_path / "now", earlier, labels=("x", "y"))
    assert (found.rows_before, found.rows_now, found.rows_new, found.rows_gone) == (300, 360, 90, 30)
    assert found.new_share == pytest.approx(0.3)
    assert found.unknown_labels == {"z": 30}
    assert found.drift is not None
    figures = {figure.aspect: figure for figure in found.drift.figures}
    limits = {limit.aspect: limit for limit in drift_limits(load_contract(None, Task.CLASSIFICATION))}
    assert set(figures) == set(limits) == set(DriftAspect)
    for aspect, figure in figures.items():
        assert figure.rows_now == 90
        assert figure.drifted(largest_value=limits[aspect].largest, alpha=limits[aspect].alpha), aspect


def test_without_new_rows_nothing_is_compared(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase", earlier: Path
) -> None:
    checked(write_rows("now.jsonl", rows()[:200]), tmp_path / "now", minilm)
    found = arrivals_in(tmp_path / "now", earlier, labels=("x", "y"))
    assert (found.rows_new, found.rows_gone, found.drift) == (0, 100, None)


def test_fresh_rows_are_new_known_and_free_of_those_that_gates_judge_by(
    write_rows: WriteRows, tmp_path: Path, minilm: "PreTrainedTokenizerBase", earlier: Path
) -> None:
    now = [*rows(500), {"text": "a label nobody knows", "label": "z"}]
    evidence = checked_with_tables(write_rows("now.jsonl", now), tmp_path / "now", minilm)
    folder = tmp_path / "fresh"
    folder.mkdir()
    fresh = fresh_rows(tmp_path / "now", evidence, earlier, labels=("x", "y"), folder=folder)
    accepted = pq.read_table(tmp_path / "now" / ACCEPTED).to_pylist()
    known = {
        row_id
        for split in Split
        for row_id in pq.read_table(earlier / f"{split}.parquet")["row_id"].to_pylist()
    }
    due = sorted(
        row["row_id"]
        for row in accepted
        if row["row_id"] not in known and row["split"] in ("train", "tune") and row["label"] in "xy"
    )
    assert 0 < len(due) < 200
    record = fresh.split(Split.TUNE)
    held = pq.read_table(folder / record.file.path)
    assert held["row_id"].to_pylist() == due and record.rows == len(due)
    assert sum(record.label_counts.values()) == len(due)
    encoded = encode_split(
        folder / record.file.path,
        task=Task.CLASSIFICATION,
        tokenizer=minilm,
        max_tokens=64,
        labels=fresh.labels,
    )
    assert encoded["row_id"] == due


def test_the_contracts_own_limits_come_before_the_catalogues() -> None:
    shipped = (SHIPPED / "classification.odcs.yaml").read_text(encoding="utf-8")
    stated = shipped.replace(
        "implementation: length_drift}", "implementation: {rule: length_drift, largest: 0.4}}"
    )
    assert stated != shipped
    for text, largest in ((shipped, 0.1), (stated, 0.4)):
        limits = drift_limits(parse_contract(text.encode(), "contract", Task.CLASSIFICATION))
        (lengths,) = (limit for limit in limits if limit.aspect is DriftAspect.LENGTHS)
        assert (lengths.largest, lengths.alpha) == (largest, 0.01)
    # A contract that says nothing of drift leaves the usual limits.
    bare = "\n".join(line for line in shipped.splitlines() if "_drift}" not in line)
    limits = drift_limits(parse_contract(bare.encode(), "contract", Task.CLASSIFICATION))
    assert {limit.aspect for limit in limits} == set(DriftAspect)
