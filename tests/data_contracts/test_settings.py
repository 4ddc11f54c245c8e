"""What the settings refuse on their own, and what their defaults come to."""

import pytest
from pydantic import ValidationError

from data_contracts.records.settings import OWN_COLUMNS, ColumnSettings, PilotSettings, SplitSettings


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


@pytest.mark.parametrize(
    ("given", "rank", "alpha"),
    [
        ({}, 16, 32),
        ({"preset": "light"}, 8, 32),
        ({"preset": "heavy"}, 64, 128),
        ({"preset": "heavy", "rank": 32}, 32, 32),
        ({"rank": 128}, 128, 256),
        ({"method": "rslora"}, 16, 8),
        ({"method": "rslora", "preset": "heavy"}, 64, 8),
        ({"method": "rslora", "alpha": 16}, 16, 16),
    ],
)
def test_presets_fill_in_what_is_not_set(given: dict[str, object], rank: int, alpha: int) -> None:
    settings = PilotSettings.model_validate(given)
    assert (settings.rank, settings.alpha) == (rank, alpha)


@pytest.mark.parametrize("name", ["LoRA", "lo-ra", "../lora", "", "a" * 41, "lora\n"])
def test_a_rung_has_a_name_that_can_become_a_folder(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a rung"):
        PilotSettings.model_validate({"method": name})
