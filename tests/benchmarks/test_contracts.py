import json
from pathlib import Path

import pytest

from benchmarks import contracts
from benchmarks.instruction_rows import write_instruction_rows


def run(wall: float) -> dict[str, float]:
    return {
        "wall_seconds": wall,
        "processor_seconds": 2 * wall,
        "peak_memory_bytes": 2**30,
        "peak_anonymous_bytes": 2**29,
    }


def test_the_same_number_of_rows_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_instruction_rows(tmp_path / name, 50)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    records = [json.loads(line) for line in (tmp_path / "a").read_text(encoding="utf-8").splitlines()]
    assert len({record["prompt"] for record in records}) == 50


def test_a_run_replaces_its_own_size_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "RESULT", tmp_path / "contracts.json")
    for rows, mark in ((1000, 1), (20, 2), (1000, 3)):
        contracts.write_result(rows, {"mark": mark})
    assert json.loads(contracts.RESULT.read_text(encoding="utf-8"))["rows"] == {
        "20": {"mark": 2},
        "1000": {"mark": 3},
    }


def test_ratios_are_of_medians_and_a_failed_arm_has_none() -> None:
    runs = {"lorafirst": [run(30), run(50), run(40)], "tokenizer": [run(20)], "pandera": [{"failed": "no"}]}
    found = contracts.figures_of(runs, rows=100, file_bytes=1)
    assert found["ratio_to_tokenizer"] == {
        "lorafirst": {"wall_seconds": 2.0, "processor_seconds": 2.0},
        "tokenizer": {"wall_seconds": 1.0, "processor_seconds": 1.0},
    }
    assert found["arms"]["pandera"] == {"failed": "no"}
    assert found["not_run"] == ["lorafirst again", "great expectations"]
