"""The benchmark of the record counts what really happened, on loads that take seconds."""

from pathlib import Path

import pytest

from benchmarks.record import killed, long_chain, side_by_side

pytestmark = pytest.mark.slow


def test_every_append_of_every_writer_is_in_one_chain(tmp_path: Path) -> None:
    found = side_by_side(str(tmp_path / "four.sqlite"), 5)
    assert (found["processes"], found["entries"], found["faults"]) == (4, 20, 0)
    assert found["appends_per_second"] > 0.0


def test_kills_are_counted_with_what_was_acknowledged(tmp_path: Path) -> None:
    found = killed(tmp_path, 2)
    assert found["kills"] == 2 and found["acknowledged"] >= 2
    assert (found["lost"], found["broken_chains"]) == (0, 0)


def test_a_long_chain_is_checked_whole(tmp_path: Path) -> None:
    assert long_chain(tmp_path, 30)["entries"] == 30
