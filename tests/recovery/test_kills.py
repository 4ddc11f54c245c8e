"""A sample of what `python -m benchmarks.recovery` does."""

from pathlib import Path

import pytest

from benchmarks.recovery import measure

pytestmark = pytest.mark.slow


def test_killed_runs_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    result = measure(tmp_path, 3)
    assert result["kills"] == 3
    assert result["outcome"] == "full_unjustified"
    for run in result["runs"]:
        assert run["differs_from_undisturbed_in"] == {}
        assert run["stages_built_twice"] == run["processes_left_over"] == run["faults"] == 0
        assert run["ledger_entries_twice"] == 0 and run["ends_without_a_clear_reason"] == []
