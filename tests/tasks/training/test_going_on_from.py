"""A pilot that goes on from a saved adapter begins with exactly that model, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.settings import PilotSettings, TrainingSettings
from tasks.training.fit import Fitted, fit
from tasks.training.rungs import PilotRung
from tests.tasks.training.conftest import Encoded, given_of

METHODS = ("lora", "rslora", "dora", "qlora", "adapter")


def train(
    rows: Encoded, artifact: Path, *, start: Path | None = None, method: str = "lora", **changes: Any
) -> Fitted:
    pilot = PilotSettings(**{"method": method, "rank": 4, "alpha": 8, **changes.pop("pilot", {})})
    training = TrainingSettings(max_steps=6, effective_batch_size=16, curve_points=1)
    rung = PilotRung(pilot, start)
    given = given_of(rows, rung, **{"training": training, "learning_rate": 5e-3, **changes})
    return fit(given, artifact=artifact)


@pytest.fixture(scope="module")
def adapters(encoded: Encoded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Fitted]]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: (folder / name, train(encoded, folder / name, method=name)) for name in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_it_begins_where_the_adapter_ended(
    method: str, adapters: dict[str, tuple[Path, Fitted]], encoded: Encoded, tmp_path: Path
) -> None:
    adapter, before = adapters[method]
    # Another seed: neither new weights nor a new head of that seed are left.
    after = train(encoded, tmp_path / "artifact", start=adapter, method=method, seed=6)
    first, untrained = after.curve[0].tune_loss, before.curve[0].tune_loss
    assert first == pytest.approx(before.curve[-1].tune_loss, rel=1e-5)
    assert abs(first - untrained) > 0.01, "the adapter had learned nothing that could be told"
    assert after.curve[-1].tune_loss != first


def test_an_adapter_of_another_shape_is_refused(
    adapters: dict[str, tuple[Path, Fitted]], encoded: Encoded, tmp_path: Path
) -> None:
    lora = adapters["lora"][0]
    for changes in ({"pilot": {"rank": 8}}, {"pilot": {"target_modules": ("query",)}}, {"method": "dora"}):
        with pytest.raises(InputError, match="the layers and the rank of this pilot"):
            train(encoded, tmp_path / "artifact", start=lora, **changes)
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("method", ["pissa", "adalora"])
def test_a_method_that_saves_other_weights_than_it_trains_is_refused(
    method: str, adapters: dict[str, tuple[Path, Fitted]], encoded: Encoded, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="not saved as they are trained"):
        train(encoded, tmp_path / "artifact", start=adapters["lora"][0], method=method)


def test_an_adapter_of_another_base_is_refused(
    adapters: dict[str, tuple[Path, Fitted]], encoded: Encoded, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="one that was trained on the base sha256:1"):
        train(
            encoded,
            tmp_path / "artifact",
            start=adapters["lora"][0],
            base_digest="sha256:" + "1" * 64,
        )
