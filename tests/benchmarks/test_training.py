from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.training import Bench
from benchmarks.training_arms.figures import counted, figures_of, where_time_goes
from benchmarks.training_arms.limit import operations_per_token
from benchmarks.training_arms.plan import ARMS, OURS, TINY, Size
from benchmarks.training_arms.processes import start_workers

SIZE = Size("m", False, steps=3, uncounted=1, effective_batch_size=4, micro_batch_size=4, runs=3)


def run(seconds: list[float], supervised: int = 10) -> dict[str, Any]:
    marks = [
        {
            "processor_seconds": sum(seconds[: index + 1]),
            "loss": 2.0 - index,
            "supervised": supervised * (index + 1),
            "real": 20 * (index + 1),
            "positions": 25 * (index + 1),
        }
        for index in range(len(seconds))
    ]
    return {"marks": marks, "judged": {"after": 1.0}, "peak_bytes": 2**30}


def test_first_steps_do_not_count() -> None:
    assert counted(run([100.0, 2.0, 3.0]), SIZE, "processor_seconds") == 5.0
    assert counted(run([100.0, 2.0, 3.0]), SIZE, "supervised") == 20


def test_an_arm_is_the_median_of_its_runs_and_one_that_never_finished_says_why() -> None:
    runs = [run([9.0, 1.0, 1.0]), run([9.0, 2.0, 2.0]), run([9.0, 5.0, 5.0]), {"failed": "no"}]
    found = figures_of(runs, SIZE)
    assert found["supervised_tokens_per_processor_second"] == 5.0
    assert found["slowest_and_fastest_run"] == [2.0, 10.0]
    assert found["real_tokens_of_positions"] == 0.8
    assert found["loss_of_each_step"] == [2.0, 1.0, 0.0]
    assert figures_of([{"failed": "no"}], SIZE) == {"failed": "no"}


def test_operators_are_grouped_and_nothing_is_lost() -> None:
    shares = where_time_goes({"aten::mm": 2.0, "aten::nll_loss_backward": 1.0, "aten::silu": 1.0})
    assert shares["matrix products"] == 0.5
    assert shares["loss over the vocabulary"] == 0.25
    assert shares["elementwise and copies"] == 0.25
    assert sum(shares.values()) == pytest.approx(1.0)


def test_needed_operations_are_those_that_torch_counts() -> None:
    configuration = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip
    model, tokens = LlamaForCausalLM(configuration), 40
    ids = torch.arange(tokens)[None]
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    needed = operations_per_token(configuration, method="full", rank=16, tokens=tokens) * tokens
    # Written out, attention also multiplies what is masked: twice the causal half.
    masked_attention = 2 * 3 * 2 * 64 * tokens / 2 * 2 * tokens
    assert counter.get_total_flops() == needed + masked_attention


def test_lora_needs_less_than_full_and_more_than_a_forward_pass() -> None:
    configuration = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4
    )
    lora, full = (
        operations_per_token(configuration, method=method, rank=1, tokens=1) for method in ("lora", "full")
    )
    assert 2 / 3 < lora / full < 0.75


@pytest.mark.slow
def test_ours_and_plain_transformers_see_the_same_rows_and_reach_the_same_loss(tmp_path: Path) -> None:
    workers = start_workers(None, [])
    bench = Bench(tmp_path, workers)
    found = {}
    for name in (OURS, "transformers"):
        run = bench.run(TINY[0], "lora", name)
        assert run is not None
        assert "failed" not in run, run
        found[name] = run
    for worker in set(workers.values()):
        worker.close()
    ours, plain = (found[name]["marks"] for name in (OURS, "transformers"))
    assert len(ours) == TINY[0].steps
    assert [mark["supervised"] for mark in ours] == [mark["supervised"] for mark in plain]
    assert [mark["loss"] for mark in ours] == pytest.approx([mark["loss"] for mark in plain], rel=1e-4)
    after = [found[name]["judged"]["after"] for name in found]
    assert after[0] == pytest.approx(after[1], rel=1e-4)
    assert after[0] < found[OURS]["judged"]["before"]


def test_long_rows_leave_out_what_packs() -> None:
    assert not any(ARMS[name].packed for name in TINY[1].arms("lora"))
    assert any(ARMS[name].packed for name in TINY[0].arms("full"))
