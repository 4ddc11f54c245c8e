"""Looks are never lost, and a crash while one is written costs no earlier one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.looks import Look, RowSketch
from data_contracts.records.snapshot import Split
from tasks.evidence.looks import LookBook

DIGEST = "sha256:" + "0" * 64


def look(run: str) -> Look:
    return Look(
        run_id=run,
        hypothesis="quality by accuracy",
        split=Split.GATE,
        sketch=RowSketch(rows=2, smallest=("a", "b")),
        inputs=DIGEST,
        alpha_of_run=0.01,
        registration=DIGEST,
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_looks_come_back_in_their_order(tmp_path: Path) -> None:
    book = LookBook(tmp_path / "deep" / "looks.jsonl")
    assert book.read() == ()
    with book.locked():
        for run in ("one", "two"):
            book.append(look(run))
    assert [each.run_id for each in book.read()] == ["one", "two"]


def test_a_line_cut_off_by_a_crash_is_no_look_and_costs_no_other(tmp_path: Path) -> None:
    book = LookBook(tmp_path / "looks.jsonl")
    book.append(look("one"))
    with book.path.open("ab") as stream:
        stream.write(look("crashed").canonical_json()[:40])
    assert [each.run_id for each in book.read()] == ["one"]
    book.append(look("two"))
    assert [each.run_id for each in book.read()] == ["one", "two"]


def test_a_damaged_line_is_told_and_not_skipped(tmp_path: Path) -> None:
    book = LookBook(tmp_path / "looks.jsonl")
    book.append(look("one"))
    book.path.write_bytes(b"{}\n" + book.path.read_bytes())
    with pytest.raises(ArtifactDamagedError, match="line 1"):
        book.read()
