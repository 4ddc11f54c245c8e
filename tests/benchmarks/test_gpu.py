"""The script for a GPU, on the processor: every path of it, with a tiny shape."""

import math

import pytest
import torch

from benchmarks import gpu

CPU = torch.device("cpu")


def test_says_what_a_missing_package_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        gpu.importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else name
    )
    assert gpu.missing("qlora") == "bitsandbytes not installed"
    assert gpu.missing("lora") is None
    qlora = next(case for case in gpu.TINY if case.method == "qlora")
    assert gpu.one(qlora, CPU) == {"skipped": "bitsandbytes not installed"}


def test_packed_rows_hold_several_documents_each_counted_from_0() -> None:
    batch = gpu.packed_rows(gpu.TINY[0], CPU)
    positions = batch["position_ids"]
    begins = positions == 0
    assert (begins.sum(1) > 1).all()
    following = positions[:, 1:][~begins[:, 1:]] - positions[:, :-1][~begins[:, 1:]]
    assert (following == 1).all()
    # No document's first token is predicted from another document.
    assert (batch["labels"][begins] == -100).all()
    assert (batch["labels"][~begins] == batch["input_ids"][~begins]).all()


@pytest.mark.slow
def test_every_path_trains_on_the_processor() -> None:
    found = gpu.main(["--tiny"])
    assert set(found) == {"tiny lora", "tiny qlora", "tiny full", "tiny qlora within 47 GiB"}
    for name, case in found.items():
        first, last = case["loss_of_first_and_last_step"]
        assert case["fits"], name
        assert abs(first - math.log(256)) < 0.3, name
        assert last < first, name
        assert case["tokens_per_second"] > 0
    # Rank 16 beside seven matrices of two blocks of width 64, keys of 32 and a feed-forward of 128.
    adapters = 2 * 16 * ((64 + 64) * 2 + (64 + 32) * 2 + (64 + 128) * 3)
    assert found["tiny lora"]["trainable_parameters"] == adapters
    assert found["tiny qlora"]["trainable_parameters"] == adapters


@pytest.mark.slow
def test_in_four_bits_every_layer_but_the_head_is_quantised_and_the_rest_is_real() -> None:
    import bitsandbytes as bnb

    case = next(case for case in gpu.TINY if case.method == "qlora")
    model = gpu.quantised(gpu.configuration_of(case), CPU, torch.float32)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    quantised = {name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)}
    assert linear - quantised == {"lm_head"}
    assert len(quantised) == 2 * 7
    assert all(model.get_submodule(name).weight.dtype == torch.uint8 for name in quantised)
    assert not any(each.is_meta for each in (*model.parameters(), *model.buffers()))
