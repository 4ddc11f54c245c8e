"""Where a training's memory is, and in which precision it computes."""

from pathlib import Path

import pytest

from data_contracts.records.evidence import Accelerator
from data_contracts.records.settings import Precision, RunSettings
from tasks.stages import computing
from tasks.training import devices
from tests.flows.conftest import small_settings

A_GPU = Accelerator(name="a GPU", count=2, memory_bytes=48 << 30, computes_bfloat16=True)


def here(monkeypatch: pytest.MonkeyPatch, found: Accelerator | None) -> None:
    for module in (devices, computing):
        monkeypatch.setattr(module, "accelerator", lambda: found)


def test_processes_share_a_machine_and_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, None)
    assert computing.memory_of_each(4) == computing.memory_bytes() // 4 > 2**20
    here(monkeypatch, A_GPU)
    assert computing.memory_of_each(4) == 48 << 30


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        (None, Precision.FLOAT32),
        (A_GPU, Precision.BFLOAT16),
        (A_GPU.model_copy(update={"computes_bfloat16": False}), Precision.FLOAT32),
    ],
)
def test_precision_left_open_is_what_the_machine_is_fast_in(
    monkeypatch: pytest.MonkeyPatch, found: Accelerator | None, taken: Precision
) -> None:
    here(monkeypatch, found)
    assert devices.precision_here(Precision.AUTO) is taken
    assert devices.precision_here(Precision.BFLOAT16) is Precision.BFLOAT16


def test_a_run_says_which_it_took(tmp_path: Path) -> None:
    settings = RunSettings.model_validate(small_settings(tmp_path / "rows.jsonl"))
    assert settings.model.precision is Precision.AUTO
    taken = computing.resolved(settings)
    assert taken.model.precision is devices.precision_here(Precision.AUTO)
    assert taken.model.source == settings.model.source
