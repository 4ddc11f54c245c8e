"""Forecasts from a configuration: published sizes, parts that add up, what would make a rung fit."""

from dataclasses import replace
from typing import Any

import pytest

from data_contracts.records.decision import Decision, Verdict
from data_contracts.records.forecast import Moment
from tasks.decisions.forecast import (
    PROCESSOR,
    RUNGS,
    Batch,
    Method,
    ModelShape,
    System,
    first_that_fits,
    forecast,
    ratio_of_steps,
    shape_of,
    system_for,
    what_would_fit,
)
from tasks.decisions.gates import decide_fit
from tests.tasks.decisions.conftest import ACCURACY, DIGEST, RUN

LLAMA_3_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
QWEN_2_5_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}
QWEN_3_8B = {
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}
SMALL = {
    **LLAMA_3_8B,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "vocab_size": 32000,
    "torch_dtype": "float32",
}
BATCH = Batch(rows=8, tokens=128, accumulated=4)


def shape(config: dict[str, Any], labels: int = 0) -> ModelShape:
    read = shape_of(config, labels=labels)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(LLAMA_3_8B, 8_030_261_248), (QWEN_2_5_7B, 7_615_616_512), (QWEN_3_8B, 8_190_735_360)],
)
def test_published_sizes(config: dict[str, Any], parameters: int) -> None:
    assert shape(config).parameters == parameters


def test_lora_on_all_linear_layers_of_llama_3_8b() -> None:
    foreseen = forecast(shape(LLAMA_3_8B), Method("lora", rank=16), BATCH, PROCESSOR)
    assert foreseen.trained_parameters == 41_943_040
    assert foreseen.artifact_bytes == 4 * 41_943_040
    assert foreseen.trained_share == pytest.approx(0.0052, abs=1e-4)


@pytest.mark.parametrize("rung", RUNGS)
def test_the_parts_add_up_and_more_rows_or_tokens_never_take_less(rung: str) -> None:
    def peak(batch: Batch) -> int:
        return forecast(shape(SMALL), Method(rung), batch, PROCESSOR).peak_memory_bytes

    parts = forecast(shape(SMALL), Method(rung), BATCH, PROCESSOR).memory
    named = [value for name, value in parts if name.endswith("_bytes")]
    assert sum(named) == parts.total_bytes and all(value >= 0 for value in named)
    assert peak(BATCH) < peak(replace(BATCH, rows=32)) < peak(replace(BATCH, rows=32, tokens=512))


def test_full_takes_weights_gradients_and_two_moments_when_the_batch_is_small() -> None:
    foreseen = forecast(shape(LLAMA_3_8B), Method("full"), Batch(1, 8, evaluation_rows=1), PROCESSOR)
    parts = foreseen.memory
    assert parts.moment is Moment.BACKWARD_ENDS
    weights = 4 * foreseen.total_parameters
    assert (parts.weights_bytes, parts.gradients_bytes, parts.optimizer_bytes) == (
        weights,
        weights,
        2 * weights,
    )


def test_four_bits_take_little_over_an_eighth_and_leave_embeddings_alone() -> None:
    model = shape(LLAMA_3_8B)
    parts = forecast(model, Method("qlora"), BATCH, PROCESSOR).memory
    linear = sum(layer.weights for layer in model.adaptable)
    assert parts.quantised_bytes / linear == pytest.approx(0.516, abs=0.001)
    assert parts.weights_bytes > 4 * (model.parameters - linear)


def test_pages_of_a_quantised_checkpoint_show_and_are_not_needed() -> None:
    qlora = forecast(shape(SMALL), Method("qlora"), BATCH, system_for(SMALL))
    lora = forecast(shape(SMALL), Method("lora"), BATCH, system_for(SMALL))
    assert qlora.memory.reclaimable_bytes > 0
    assert qlora.needed_memory_bytes < lora.needed_memory_bytes < qlora.peak_memory_bytes


def test_two_bytes_a_value_halve_weights_and_activations() -> None:
    method, halved = Method("lora"), replace(PROCESSOR, value_bytes=2, mapped=False)
    single = forecast(shape(LLAMA_3_8B), method, BATCH, PROCESSOR).memory
    half = forecast(shape(LLAMA_3_8B), method, BATCH, halved).memory
    adapter = 4 * 41_943_040
    assert 2 * (half.weights_bytes - adapter) == single.weights_bytes - adapter
    assert half.optimizer_bytes == single.optimizer_bytes


def test_blocks_below_the_trained_ones_keep_nothing() -> None:
    def kept(blocks: int | tuple[int, ...]) -> int:
        method = Method("layers", blocks=blocks)
        return forecast(shape(SMALL, labels=3), method, BATCH, PROCESSOR).memory.activations_bytes

    assert kept(1) < kept(4) < kept(8)
    assert kept((0,)) > kept((7,))


@pytest.mark.parametrize("rung", ["lora", "full"])
def test_each_change_alone_makes_the_rung_fit(rung: str) -> None:
    model, method = shape(SMALL), Method(rung)
    needed = forecast(model, method, BATCH, PROCESSOR).needed_memory_bytes
    assert what_would_fit(model, method, BATCH, PROCESSOR, needed) == ()
    changes = what_would_fit(model, method, BATCH, PROCESSOR, needed - 1)
    assert changes[-1] == "0.0 GiB more memory"
    rows = int(next(c for c in changes if "micro_batch_size" in c).split()[1])
    tokens = int(next(c for c in changes if "max_tokens" in c).split()[1])
    for fits, batch in (
        (True, replace(BATCH, rows=rows, accumulated=32 // rows)),
        (True, replace(BATCH, tokens=tokens)),
        (False, replace(BATCH, tokens=tokens + 1)),
    ):
        assert (forecast(model, method, batch, PROCESSOR).needed_memory_bytes < needed) is fits


def test_nothing_but_memory_helps_where_the_weights_alone_are_too_much() -> None:
    changes = what_would_fit(shape(LLAMA_3_8B), Method("full"), BATCH, PROCESSOR, 8 << 30)
    assert len(changes) == 1 and changes[0].endswith("GiB more memory")


def test_full_takes_about_a_third_longer_than_lora() -> None:
    ratio = ratio_of_steps(shape(SMALL), Method("full"), Method("lora"), rows=8, tokens=128)
    assert 1.2 < ratio < 1.5


def test_unknown_architectures_and_missing_numbers_are_told_apart() -> None:
    assert shape_of({"model_type": "mamba"}, labels=0) is None
    assert shape_of({"model_type": "bert", "hidden_size": 64}, labels=0) is None
    with pytest.raises(ValueError, match="intermediate_size"):
        shape_of({**LLAMA_3_8B, "intermediate_size": None}, labels=0)


def test_fit_takes_the_first_method_that_fits_and_says_what_would() -> None:
    model, lora = shape(SMALL), Method("lora")
    forecasts = [forecast(model, each, BATCH, PROCESSOR) for each in (lora, Method("qlora"))]
    smaller, larger = sorted(each.needed_memory_bytes for each in forecasts)

    def decide(available: int) -> Decision:
        return decide_fit(
            forecasts,
            available_memory_bytes=available,
            changes=what_would_fit(model, lora, BATCH, PROCESSOR, available),
            evidence=DIGEST,
            policy=ACCURACY,
            run_id=RUN,
        )

    assert decide(larger).verdict is Verdict.PASS
    assert "qlora does" in decide(smaller).sentence
    refused = decide(smaller - 1)
    assert refused.verdict is Verdict.FAIL and "micro_batch_size" in refused.sentence
    assert first_that_fits(forecasts, smaller - 1) is None


def test_on_a_gpu_full_in_bfloat16_takes_float32_weights_and_a_copy_of_each() -> None:
    system = system_for(LLAMA_3_8B, on_gpu=True, precision="bfloat16")
    small = Batch(1, 8, evaluation_rows=1)
    parts = forecast(shape(LLAMA_3_8B), Method("full"), small, system).memory
    parameters = 8_030_261_248
    assert parts.weights_bytes == 4 * parameters
    assert parts.reclaimable_bytes == 0
    # Beside them the moments, and at the end of a backward pass the gradients: 16 bytes a parameter.
    assert parts.needed_bytes == pytest.approx(16 * parameters, rel=0.02)
    lora = forecast(shape(LLAMA_3_8B), Method("lora"), small, system).memory
    assert lora.weights_bytes == 2 * parameters + 4 * 41_943_040


def test_in_float32_on_a_gpu_heads_that_share_keys_keep_their_matrices() -> None:
    in_float32, in_bfloat16 = (
        system_for(LLAMA_3_8B, on_gpu=True, precision=precision) for precision in ("float32", "bfloat16")
    )

    def kept(tokens: int, system: System) -> int:
        batch = Batch(1, tokens, evaluation_rows=1)
        return forecast(shape(LLAMA_3_8B), Method("lora"), batch, system).memory.activations_bytes

    # 32 layers of 32 heads, one float32 a pair of tokens.
    matrices = 4 * 32 * 32
    assert kept(2048, in_float32) - 2 * kept(1024, in_float32) == pytest.approx(
        matrices * (2048**2 - 2 * 1024**2), rel=0.05
    )
    assert kept(2048, in_bfloat16) == pytest.approx(2 * kept(1024, in_bfloat16), rel=0.02)
