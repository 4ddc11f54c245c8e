"""The benchmark of packing, with a tiny model, and the rule against its committed result."""

import json
from pathlib import Path

import pytest

from benchmarks import packing
from tasks.training.packing import _LEAST_PADDING


@pytest.mark.parametrize("cell", packing.CELLS)
def test_a_cell_has_the_padding_that_it_names(cell: packing.Cell) -> None:
    found = 1 - sum(cell.lengths) / (cell.rows * max(cell.lengths))
    assert found == pytest.approx(cell.padding, abs=0.02)
    assert max(cell.lengths) == cell.tokens


@pytest.mark.slow
def test_both_layouts_are_measured(tiny_llama: Path) -> None:
    (found,) = packing.main(["--tiny", str(tiny_llama)])["cells"]
    assert set(found["tokens_per_processor_second"]) == {"padded", "packed"}
    assert found["packed_is_so_many_times_as_fast"] > 0


def test_auto_packs_where_packing_was_measured_to_be_faster() -> None:
    cells = json.loads(packing.RESULT.read_text(encoding="utf-8"))["cells"]
    assert len(cells) == len(packing.CELLS)
    for cell in cells:
        if cell["padding"] >= _LEAST_PADDING:
            assert cell["packed_is_so_many_times_as_fast"] > 1.0, cell
        else:
            assert cell["packed_is_so_many_times_as_fast"] < 1.1, cell
