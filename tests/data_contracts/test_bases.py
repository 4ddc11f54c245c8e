"""Masks keep which rows had a property, one bit a row, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records.bases import RowMask


@given(st.lists(st.booleans()))
def test_what_goes_in_comes_out(flags: list[bool]) -> None:
    mask = RowMask.of(flags)
    assert mask.flags() == tuple(flags)
    assert (mask.rows, len(mask.bits)) == (len(flags), -(-len(flags) // 4))


def test_the_first_row_is_the_highest_bit() -> None:
    assert RowMask.of([True, False, False, False, False, True]).bits == "84"
