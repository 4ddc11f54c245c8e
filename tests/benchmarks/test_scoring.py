import time
from typing import Any

from benchmarks.scoring import compare


def test_rates_are_medians_and_distances_are_taken_from_the_first_arm() -> None:
    calls: list[str] = []

    def arm(name: str, seconds: float, result: int) -> Any:
        def run() -> int:
            calls.append(name)
            started = time.process_time()
            while time.process_time() - started < seconds:
                pass
            return result

        return run

    arms = {"ours": arm("ours", 0.02, 1), "theirs": arm("theirs", 0.06, 4)}
    found = compare(10, arms, 3, lambda first, second: {"apart": second - first})
    assert calls == ["ours", "theirs"] * 3
    assert found["arms"]["theirs"]["apart"] == 3 and "apart" not in found["arms"]["ours"]
    assert 2.5 < found["arms"]["theirs"]["ours_over_this"] < 3.5
    assert 400 < found["arms"]["ours"]["rows_per_processor_second"] < 501
