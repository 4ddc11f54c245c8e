"""Whatever a deployment starts stays in the served folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.settings import RunSettings
from data_contracts.served import FOLDER_VARIABLE
from flows.approve import approve
from flows.drift import drift
from flows.finetune import finetune
from flows.nightly import nightly
from flows.promote import promote, rollback
from flows.remind import remind
from flows.retrain import retrain
from tests.flows.conftest import small_settings


def outside(folder: Path) -> RunSettings:
    settings = small_settings(folder / "rows.jsonl", output=str(folder / "runs"))
    return RunSettings.model_validate(settings)


ASKED: dict[str, Callable[[Path], Any]] = {
    "finetune": lambda away: finetune.fn(outside(away)),
    "retrain": lambda away: retrain.fn(outside(away)),
    "drift": lambda away: drift.fn(outside(away)),
    "nightly": lambda away: nightly.fn(away / "nightly.yaml"),
    "promote": lambda away: promote.fn("small-1", output=away),
    "rollback": lambda away: rollback.fn("small", "why", output=away),
    "approve": lambda away: approve.fn("small-1", output=away),
    "remind": lambda away: remind.fn(output=away),
}


@pytest.mark.parametrize("flow", ASKED)
def test_it_is_refused_what_lies_elsewhere(
    flow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "served"))
    away = tmp_path / "away"
    with pytest.raises(InputError, match="inside the folder that is served"):
        ASKED[flow](away)
    assert not away.exists()


def test_every_deployment_is_asked() -> None:
    import yaml

    from flows.operating.deployments import shipped_file

    document = yaml.safe_load(shipped_file().read_text(encoding="utf-8"))
    flows = {each["entrypoint"].rpartition(":")[2] for each in document["deployments"]}
    # Full fine-tuning elsewhere takes a run of the folder, by its id; taking up is asked for nothing.
    assert flows - {"train_full", "take_up"} == set(ASKED)
