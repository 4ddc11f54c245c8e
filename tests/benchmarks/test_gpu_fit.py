"""The trainings for a GPU, on the processor: every path of the script, with a tiny shape."""

import json
import math
from typing import Any

import pytest
from transformers import LlamaConfig

from benchmarks import gpu_fit
from benchmarks.gpu import GIB, RANK, SHAPES
from tasks.decisions.forecast import Batch, Method, forecast, shape_of, system_for


@pytest.mark.slow
def test_every_path_trains_and_is_forecast_on_the_processor() -> None:
    found = gpu_fit.main(["--tiny"])
    assert set(found) == {case.name for case in gpu_fit.TINY}
    for name, case in found.items():
        first, last = case["loss_on_tune"]
        assert last <= first < math.log(256) + 0.1, name
        assert case["tokens_per_second"] > 0
        assert case["forecast_gib"] == pytest.approx(0.75, abs=0.05)


STORED: dict[str, Any] = json.loads(gpu_fit.RESULT.read_text(encoding="utf-8"))["cases"]


def test_the_committed_figures_are_of_the_cases_that_are_there() -> None:
    assert set(STORED) == {case.name for case in gpu_fit.CASES}
    for name, case in STORED.items():
        # As far as README.md and docs/design.md say.
        assert 0.99 < case["forecast_over_peak"] < 1.075, name


@pytest.mark.parametrize("case", gpu_fit.CASES, ids=[case.name for case in gpu_fit.CASES])
def test_the_forecasts_that_were_held_against_a_gpu_are_those_made_today(case: gpu_fit.Case) -> None:
    configuration = {**LlamaConfig(**SHAPES[case.shape]).to_dict(), "dtype": "bfloat16"}
    shape = shape_of(configuration, labels=0)
    assert shape is not None
    system = system_for(configuration, on_gpu=True, precision=case.precision.value)
    batch = Batch(case.rows, case.tokens, case.accumulated, evaluation_rows=4)
    found = forecast(shape, Method(case.method, rank=RANK), batch, system)
    assert found.needed_memory_bytes / GIB == pytest.approx(STORED[case.name]["forecast_gib"], abs=0.01)
