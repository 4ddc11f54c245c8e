"""What the settings refuse on their own, and what their defaults come to."""

import pytest
from pydantic import ValidationError

from data_contracts.records.settings import OWN_COLUMNS, ColumnSettings, SplitSettings


@pytest.mark.parametrize("name", sorted(OWN_COLUMNS))
def test_a_column_of_our_own_name_cannot_be_kept(name: str) -> None:
    with pytest.raises(ValidationError, match=f"own {name}: rename that column in the data"):
        ColumnSettings(keep=("channel", name))


def test_a_column_is_kept_once() -> None:
    with pytest.raises(ValidationError, match="leave out the second channel"):
        ColumnSettings(keep=("channel", "region", "channel"))


def test_all_that_is_wrong_with_the_kept_columns_is_told_at_once() -> None:
    with pytest.raises(ValidationError, match=r"own label, split: .*; .* second channel"):
        ColumnSettings(keep=("split", "channel", "label", "channel"))


def test_gate_gets_what_the_other_shares_leave() -> None:
    assert SplitSettings().gate == pytest.approx(0.15)
    assert SplitSettings(train=0.5, tune=0.1, reserve=0.0).gate == pytest.approx(0.4)


def test_shares_that_leave_no_gate_are_told_with_the_way_out() -> None:
    with pytest.raises(
        ValidationError, match=r"train 0\.8, tune 0\.05 and reserve 0\.15 .* to gate \(reserve: 0"
    ):
        SplitSettings(train=0.8, tune=0.05)
