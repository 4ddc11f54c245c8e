"""A seed fixes everything that is drawn, and another seed draws all of it anew."""

from pathlib import Path
from typing import Any

import pytest

from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings
from tasks.training.rungs import FullRung, PilotRung, prepare
from tests.tasks.training.conftest import Encoded
from tests.tasks.training.test_fit import TRAINING, full_rung, train

LORA = PilotRung(PilotSettings(rank=4, alpha=8))
QLORA = PilotRung(PilotSettings(method=Rung.QLORA, rank=4, alpha=8))


def weights(encoded: Encoded, rung: PilotRung | FullRung, seed: int) -> dict[str, Any]:
    return dict(prepare(encoded.base, encoded.head, rung, seed=seed).model.state_dict())


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    import torch

    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("rung", [LORA, QLORA])
def test_another_seed_draws_other_adapters_and_another_head(encoded: Encoded, rung: PilotRung) -> None:
    first = weights(encoded, rung, 5)
    assert differing(first, weights(encoded, rung, 5)) == set()
    other = differing(first, weights(encoded, rung, 6))
    # Adapters begin at zero output: of their two matrices the second is all zeros under every seed.
    adapters = {name for name in first if "lora_A" in name}
    heads = {name for name in first if "classifier" in name and name.endswith("weight")}
    assert adapters and heads
    assert other == adapters | heads


def test_pilot_and_full_begin_with_the_same_head(encoded: Encoded) -> None:
    import torch

    full = weights(encoded, full_rung(), 5)
    pilot = weights(encoded, LORA, 5)
    name = next(name for name in pilot if name.endswith("modules_to_save.default.weight"))
    assert torch.equal(full["classifier.weight"], pilot[name])
    assert differing(full, weights(encoded, full_rung(seed=6), 6)) == {"classifier.weight"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["qlora", "full"])
def test_two_runs_with_one_seed_give_the_same_bytes(encoded: Encoded, tmp_path: Path, method: str) -> None:
    contents = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        rung = QLORA if method == "qlora" else full_rung(seed=seed)
        training = TRAINING.model_copy(update={"max_steps": 2, "curve_points": 1})
        train(encoded, rung, tmp_path / name, seed=seed, training=training)
        (file,) = (tmp_path / name).glob("*.safetensors")
        contents.append(file.read_bytes())
    assert contents[0] == contents[1] != contents[2]
