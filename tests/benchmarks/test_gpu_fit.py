"""The trainings for a GPU, on the processor: every path of the script, with a tiny shape."""

import math

import pytest

from benchmarks import gpu_fit


@pytest.mark.slow
def test_every_path_trains_and_is_forecast_on_the_processor() -> None:
    found = gpu_fit.main(["--tiny"])
    assert set(found) == {case.name for case in gpu_fit.TINY}
    for name, case in found.items():
        first, last = case["loss_on_tune"]
        assert last <= first < math.log(256) + 0.1, name
        assert case["tokens_per_second"] > 0
        assert case["forecast_gib"] == pytest.approx(0.75, abs=0.05)


def test_the_committed_figures_are_of_the_cases_that_are_there() -> None:
    import json

    stored = json.loads(gpu_fit.RESULT.read_text(encoding="utf-8"))
    assert set(stored["cases"]) == {case.name for case in gpu_fit.CASES}
    assert not [name for name, case in stored["cases"].items() if "failed" in case]
