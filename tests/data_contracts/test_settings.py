"""What the settings refuse on their own, and what their defaults come to."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.records.settings import (
    OWN_COLUMNS,
    ColumnSettings,
    PilotSettings,
    RunSettings,
    SplitSettings,
)
from data_contracts.settings_file import load_settings


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


def asked(task: str, metric: str, **changes: Any) -> dict[str, Any]:
    policy = {
        "extends": "exploratory",
        "metric": metric,
        "target": 0.5,
        "margin": 0.1,
        **changes.pop("policy", {}),
    }
    return {
        "name": "x",
        "task": task,
        "model": {"source": "m"},
        "data": {"source": "d.jsonl"},
        "policy": policy,
        **changes,
    }


REPLAY = {"training": {"replay": {"source": "general.jsonl", "share": 0.2}}}


def test_the_loss_judges_answers_and_texts_but_no_labels(tmp_path: Path) -> None:
    for task in ("instruction", "completion"):
        assert load(tmp_path, asked(task, "completion_loss", **REPLAY)).training.replayed_rows == 6
    for task, metric in (("classification", "completion_loss"), ("completion", "accuracy")):
        with pytest.raises(InputError, match="does not apply to task"):
            load(tmp_path, asked(task, metric))


def test_what_a_task_has_not_is_refused(tmp_path: Path) -> None:
    rails = {"guardrails": {"answer_format": {"pattern": "[a-z]+"}}}
    with pytest.raises(InputError, match="texts are not answered"):
        load(tmp_path, asked("completion", "completion_loss", policy=rails))
    with pytest.raises(InputError, match="none of its labels"):
        load(tmp_path, asked("classification", "accuracy", **REPLAY))
    with pytest.raises(InputError, match="one answer a sequence"):
        load(tmp_path, asked("classification", "accuracy", training={"packing": "on"}))


def test_what_goes_not_together_is_refused(tmp_path: Path) -> None:
    ranks = {"pilot": {"method": "adalora"}, "training": {"early_stopping_points": 2}}
    with pytest.raises(InputError, match="no finished adapter"):
        load(tmp_path, asked("classification", "accuracy", **ranks))
    own = {"scoring": {"custom": [{"name": "kind", "function": "a.b:c", "higher_is_better": True}]}}
    with pytest.raises(InputError, match="texts are not answered"):
        load(tmp_path, asked("completion", "completion_loss", **own))


def test_what_is_replayed_lies_beside_the_settings(tmp_path: Path) -> None:
    settings = load(tmp_path, asked("completion", "completion_loss", **REPLAY))
    assert settings.training.replay is not None
    assert settings.training.replay.source == str(tmp_path / "general.jsonl")


def load(folder: Path, content: dict[str, Any]) -> RunSettings:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_settings(path)
