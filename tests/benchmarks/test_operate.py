"""What the benchmark of a server asks for is what settings allow; the rest of it takes a server."""

from benchmarks import operate
from benchmarks.small_runs import doors, small
from data_contracts.records.settings import RunSettings


def test_the_small_run_is_one_that_settings_allow() -> None:
    asked = RunSettings.model_validate(small("served-1"))
    assert (asked.output.name, asked.training.max_steps) == ("served-1", 12)


def test_what_is_promoted_and_rolled_back_is_what_settings_allow() -> None:
    asked = RunSettings.model_validate(doors("doors", seed=2))
    assert (asked.name, asked.seed, asked.policy.metric) == ("doors", 2, "completion_loss")


def test_medians_are_of_each_figure() -> None:
    found = [{"run": 1.0, "stages": 19.0}, {"run": 5.0, "stages": 19.0}, {"run": 2.0, "stages": 19.0}]
    assert operate.medians(found) == {"run": 2.0, "stages": 19.0}
