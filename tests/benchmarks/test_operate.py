"""What the benchmark of a server asks for is what settings allow; the rest of it takes a server."""

from benchmarks import operate
from data_contracts.records.settings import RunSettings


def test_the_small_run_is_one_that_settings_allow() -> None:
    asked = RunSettings.model_validate(operate.settings("served-1"))
    assert (asked.output.name, asked.training.max_steps) == ("served-1", 12)


def test_medians_are_of_each_figure() -> None:
    found = [{"run": 1.0, "stages": 19.0}, {"run": 5.0, "stages": 19.0}, {"run": 2.0, "stages": 19.0}]
    assert operate.medians(found) == {"run": 2.0, "stages": 19.0}
