"""The forecast as the stages make it: true row lengths, history, and the hours of what follows a permit."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.model_configs import read_model_config
from data_contracts.records.base import Cost, FileRecord, FolderRecord
from data_contracts.records.evidence import (
    BaseModelRecord,
    TrainingEvidence,
)
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings, RunSettings
from data_contracts.records.snapshot import Split
from tasks.data.checking.contract import ACCEPTED
from tasks.decisions.forecast import Timing
from tasks.decisions.forecast.memory import EVALUATION_ROWS
from tasks.stages.forecasting import hours_of_full, job_of, longest_row
from tasks.stages.plan_speed import speed_from_history
from tasks.training import fit
from tests.conftest import MINILM
from tests.tasks.audit.conftest import training

DIGEST = "sha256:" + "1" * 64


def settings(output: Path) -> RunSettings:
    return RunSettings.model_validate(
        {
            "name": "small",
            "task": "classification",
            "model": {"source": MINILM, "max_tokens": 64},
            "data": {"source": "rows.jsonl"},
            "policy": {"metric": "accuracy", "target": 0.9, "margin": 0.03},
            "training": {"effective_batch_size": 32, "micro_batch_size": 16},
            "output": output,
        }
    )


def trained(seconds: float, base: str) -> TrainingEvidence:
    cost = Cost(seconds=seconds / 2, cpu_seconds=seconds, peak_memory_bytes=1)
    changes = {"base_model": base, "rows_seen": 3200, "supervised_tokens": 3200, "cost": cost}
    return training("lora").model_copy(update=changes)


def test_the_longest_row_of_a_split_is_cut_as_in_training(tmp_path: Path) -> None:
    file = tmp_path / ACCEPTED
    lengths = pa.array([7, None, 31, 50], pa.int32())
    pq.write_table(pa.table({"tokens": lengths, "split": ["train", "train", "train", "gate"]}), file)
    assert (longest_row(file, Split.TRAIN, 64), longest_row(file, Split.TRAIN, 20)) == (31, 20)
    assert longest_row(file, Split.TUNE, 64) is None


def test_shorter_rows_take_less_than_the_settings_allow(tmp_path: Path) -> None:
    asked = settings(tmp_path)
    config = read_model_config(MINILM)
    allowed, real = (job_of(asked, config, labels=6, longest=longest) for longest in (None, 20))
    assert (allowed.batch.tokens, real.batch.tokens, real.batch.accumulated) == (64, 20, 2)


def test_history_counts_trainings_of_this_base_alone(tmp_path: Path) -> None:
    asked = settings(tmp_path)
    job = job_of(asked, read_model_config(MINILM), labels=6)
    assert speed_from_history(asked, job, 20.0) is None
    base = BaseModelRecord(
        source=MINILM,
        folder="elsewhere",
        weights=FolderRecord(files=(FileRecord(path="a", sha256=DIGEST, size_bytes=1),)),
        architecture="BertModel",
        parameters=1,
        layers=6,
        width=384,
        vocabulary=30522,
        positions=512,
        converted_from=None,
    )
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "base-model.json").write_bytes(base.canonical_json())
    for name, record in (("a", trained(200.0, base.identity())), ("b", trained(9e9, DIGEST))):
        folder = tmp_path / ".store" / f"train-lora-{name}"
        folder.mkdir(parents=True)
        (folder / "evidence.json").write_bytes(record.canonical_json())
    once = speed_from_history(asked, job, 20.0)
    assert once is not None
    assert (once.timing, once.processors) == (Timing.HISTORY, pytest.approx(2.0))
    (tmp_path / ".store" / "train-lora-a" / "evidence.json").write_bytes(
        trained(400.0, base.identity()).canonical_json()
    )
    slower = speed_from_history(asked, job, 20.0)
    assert slower is not None
    assert once.operations_per_second == pytest.approx(2 * slower.operations_per_second)
    speeds = []
    for blocks in (1, 6):
        full = FullSettings(method=Rung("layers"), layers=blocks)
        layered = trained(400.0, base.identity()).model_copy(
            update={"rung": full.method, "pilot": None, "full": full}
        )
        (tmp_path / ".store" / "train-lora-a" / "evidence.json").write_bytes(layered.canonical_json())
        found = speed_from_history(asked, job, 20.0)
        assert found is not None
        speeds.append(found.operations_per_second)
    assert speeds[0] < 0.8 * speeds[1], "fewer blocks are less work, so the same time means a slower machine"


def test_full_is_priced_by_the_pilot_that_was_timed(tmp_path: Path) -> None:
    asked = settings(tmp_path)
    job = job_of(asked, read_model_config(MINILM), labels=6)
    hours = hours_of_full(job, asked, PilotSettings(), trained(3600.0, DIGEST), steps=100)
    assert 1.1 < hours < 1.5
    assert hours_of_full(job, asked, PilotSettings(), trained(7200.0, DIGEST), steps=200) == 4 * hours


def test_evaluations_are_forecast_with_as_many_rows_as_training_takes() -> None:
    assert fit._EVALUATION_ROWS == EVALUATION_ROWS
