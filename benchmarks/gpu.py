"""How fast training is on one NVIDIA GPU: Llama shapes with random weights, rows of 2,048 packed tokens.

    python -m benchmarks.gpu            # every case that the machine allows; writes gpu.json
    python -m benchmarks.gpu --tiny     # the same paths with a tiny shape on the processor; writes nothing

Runs alone: it needs torch and transformers, and says what it skips where peft or bitsandbytes is missing.
LoRA, QLoRA and full fine-tuning of 1B and 8B shapes in bf16, all linear layers, rank 16: tokens per second,
peak memory, and the share of the bf16 matrix products measured on the same card that the needed operations
make up (recomputation under gradient checkpointing is not counted as needed). Last, whether QLoRA of a 65B
shape fits 48 GB, as Dettmers et al. (2023) claim: the process may then allocate no more than that.

Weights are drawn on the device; in 4 bits one layer at a time, so that 65B never exists in 16. Full
fine-tuning keeps bf16 weights, and its optimizer 8-bit states where bitsandbytes is installed.
"""

import argparse
import gc
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.training_arms.limit import operations_per_token

RESULT = Path(__file__).with_name("gpu.json")
GIB = 2**30
TOKENS = 2048
RANK = 16
UNCOUNTED, COUNTED = 2, 6

SHAPES: dict[str, dict[str, Any]] = {
    "1B": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": True,
    },
    "3B": {
        "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24,
        "num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": True,
    },
    "8B": {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": False,
    },
    "65B": {
        "hidden_size": 8192, "intermediate_size": 22_016, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 64, "vocab_size": 32_000, "tie_word_embeddings": False,
    },
    "tiny": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 256, "tie_word_embeddings": False,
    },
}  # fmt: skip
"""Of Llama 3.2 1B and 3B, Llama 3.1 8B and LLaMA 65B; the last for tests."""


@dataclass(frozen=True)
class Case:
    """One measurement."""

    shape: str
    method: str
    rows: int
    """Packed rows per step."""
    checkpointing: bool
    """Activations are computed again in the backward pass instead of being kept."""
    tokens: int = TOKENS
    limit_gib: float | None = None
    """The process may allocate no more."""

    @property
    def name(self) -> str:
        limit = f" within {self.limit_gib:g} GiB" if self.limit_gib else ""
        return f"{self.shape} {self.method}{limit}"


CASES = (
    Case("1B", "lora", 4, checkpointing=False),
    Case("1B", "qlora", 4, checkpointing=False),
    Case("1B", "full", 4, checkpointing=False),
    Case("8B", "lora", 2, checkpointing=True),
    Case("8B", "qlora", 2, checkpointing=True),
    Case("8B", "full", 2, checkpointing=True),
    # 48 GB is what such a card is sold as; a driver's share of it is nobody's.
    Case("65B", "qlora", 1, checkpointing=True, limit_gib=47.0),
)
TINY = tuple(
    replace(case, shape="tiny", tokens=64, checkpointing=case.shape == "8B")
    for case in CASES
    if case.shape != "1B"
)


def missing(method: str) -> str | None:
    """Why a method cannot run here."""
    needed = {"lora": ("peft",), "qlora": ("peft", "bitsandbytes"), "full": ()}[method]
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} not installed" if absent else None


def configuration_of(case: Case) -> Any:
    from transformers import LlamaConfig

    attention = "flash_attention_2" if importlib.util.find_spec("flash_attn") else "sdpa"
    return LlamaConfig(
        **SHAPES[case.shape],
        max_position_embeddings=case.tokens,
        attn_implementation=attention,
        use_cache=False,
    )


def model_of(case: Case, device: Any) -> Any:
    """Random weights on the device, and exactly the method's trainable."""
    import torch
    from transformers import AutoModelForCausalLM

    configuration = configuration_of(case)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    if case.method == "qlora":
        model = quantised(configuration, device, dtype)
    else:
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(configuration, dtype=dtype)
    if case.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if case.method != "full":
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(r=RANK, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
        # Where activations are recomputed, a block's input must ask for a gradient.
        model.enable_input_require_grads()
    return model.train()


def quantised(configuration: Any, device: Any, dtype: Any) -> Any:
    """The model with every linear layer but the head in double-quantised NF4, made one layer at a time."""
    import bitsandbytes as bnb
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(configuration, dtype=dtype)
    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or name == "lm_head":
            continue
        layer = bnb.nn.Linear4bit(
            module.in_features, module.out_features, bias=False, compute_dtype=dtype, quant_type="nf4",
            device="meta",
        )  # fmt: skip
        weight = torch.empty(module.weight.shape, dtype=dtype, device=device).normal_(std=0.02)
        layer.weight = bnb.nn.Params4bit(
            weight, requires_grad=False, quant_type="nf4", compress_statistics=True, module=layer
        ).to(device)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer)
    for name, module in list(model.named_modules()):
        if any(buffer.is_meta for buffer in module.buffers(recurse=False)):
            # Positions are computed, not learned: made anew where they belong.
            parent, _, last = name.rpartition(".")
            with torch.device(device):
                setattr(model.get_submodule(parent), last, type(module)(configuration))
            continue
        for key, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                value = torch.empty(parameter.shape, dtype=dtype, device=device)
                value = value.normal_(std=0.02) if value.dim() > 1 else value.fill_(1.0)
                setattr(module, key, torch.nn.Parameter(value, requires_grad=False))
    model.tie_weights()
    model.is_loaded_in_4bit = True
    return model


def optimizer_of(model: Any, case: Case, device: Any) -> Any:
    """8-bit AdamW for every weight where there is one, else torch's."""
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if case.method == "full" and device.type == "cuda" and importlib.util.find_spec("bitsandbytes"):
        import bitsandbytes as bnb

        return bnb.optim.AdamW8bit(trained, lr=1e-5)
    return torch.optim.AdamW(trained, lr=1e-4, fused=True)


def packed_rows(case: Case, device: Any) -> dict[str, Any]:
    """``rows`` rows of several documents each; positions begin anew with each document."""
    import torch

    random = torch.Generator().manual_seed(17)
    shape = (case.rows, case.tokens)
    ids = torch.randint(0, SHAPES[case.shape]["vocab_size"], shape, generator=random)
    positions = torch.empty(shape, dtype=torch.long)
    for row in positions:
        filled = 0
        while filled < case.tokens:
            length = int(torch.randint(case.tokens // 16, case.tokens // 3, (1,), generator=random))
            length = min(length, case.tokens - filled)
            row[filled : filled + length] = torch.arange(length)
            filled += length
    labels = ids.masked_fill(positions == 0, -100)
    batch = {"input_ids": ids, "position_ids": positions, "labels": labels}  # (rows, tokens) each
    return {name: value.to(device) for name, value in batch.items()}


def measure(case: Case, device: Any) -> dict[str, Any]:
    """Trains a few steps; what that took, or that it did not fit."""
    import torch

    on_gpu = device.type == "cuda"
    if case.limit_gib and on_gpu:
        total = torch.cuda.get_device_properties(device).total_memory
        if total < case.limit_gib * GIB:
            return {"skipped": f"the card has {total / GIB:.0f} GiB"}
        torch.cuda.set_per_process_memory_fraction(case.limit_gib * GIB / total)
    try:
        return trained(case, device)
    except torch.OutOfMemoryError as error:
        return {"fits": False, "said": str(error)[:200]}
    finally:
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()


def trained(case: Case, device: Any) -> dict[str, Any]:
    import torch

    on_gpu = device.type == "cuda"
    torch.manual_seed(17)
    model = model_of(case, device)
    optimizer = optimizer_of(model, case, device)
    batch = packed_rows(case, device)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    losses, began = [], 0.0
    for step in range(UNCOUNTED + COUNTED):
        if step == UNCOUNTED:
            began = now(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
    seconds = now(device) - began
    per_second = case.rows * case.tokens * COUNTED / seconds
    operations = operations_per_token(model.config, method=case.method, rank=RANK, tokens=case.tokens)
    return {
        "fits": True,
        "tokens_per_second": round(per_second, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 2) if on_gpu else None,
        "peak_reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2) if on_gpu else None,
        "operations_per_second": per_second * operations,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "optimizer": type(optimizer).__name__,
        "attention": model.config._attn_implementation,
        "loss_of_first_and_last_step": [round(float(losses[0]), 3), round(float(losses[-1]), 3)],
    }


def now(device: Any) -> float:
    """Seconds, once everything given to the device is done."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def product_peak(device: Any) -> float:
    """Operations per second of the best of a few large matrix products, in what training computes in."""
    import torch

    on_gpu = device.type == "cuda"
    best = 0.0
    for size in (4096, 8192, 16_384) if on_gpu else (256,):
        left = torch.randn(size, size, device=device, dtype=torch.bfloat16 if on_gpu else torch.float32)
        for _ in range(3):
            left @ left
        began = now(device)
        for _ in range(10):
            left @ left
        best = max(best, 10 * 2 * size**3 / (now(device) - began))
    return best


def machine() -> dict[str, Any]:
    """The card, and versions of what matters."""
    from importlib import metadata

    import torch

    names = ("torch", "transformers", "peft", "bitsandbytes", "flash-attn")
    found: dict[str, Any] = {"packages": {}}
    for name in names:
        try:
            found["packages"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found["packages"][name] = "not installed"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found["card"], found["card_gib"] = card.name, round(card.total_memory / GIB, 1)
        found["cuda"] = torch.version.cuda
    return found


def one(case: Case, device: Any) -> dict[str, Any]:
    """One case with its share of the card's matrix products, measured beside it."""
    why = missing(case.method)
    if why:
        return {"skipped": why}
    peak = product_peak(device)
    found = measure(case, device)
    if found.get("fits"):
        found["peak_products_per_second"] = round(peak)
        found["share_of_products"] = round(found.pop("operations_per_second") / peak, 3)
    return {**asdict(case), **found}


def apart(case: Case) -> dict[str, Any]:
    """The same in a process of its own, so that nothing of one case is in another's memory."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--case", case.name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny shape on the processor; writes nothing")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="one case, printed as JSON")
    parser.add_argument("--shapes", nargs="+", choices=["1B", "8B", "65B"], default=["1B", "8B", "65B"])
    chosen = parser.parse_args(arguments)

    import torch

    if chosen.tiny:
        device = torch.device("cpu")
        found = {case.name: one(case, device) for case in TINY}
        print(json.dumps(found, indent=1))
        return found
    if not torch.cuda.is_available():
        raise SystemExit("no NVIDIA GPU here that torch can use; --tiny runs the same paths on the processor")
    if chosen.case:
        (case,) = (each for each in CASES if each.name == chosen.case)
        print("\n" + json.dumps(one(case, torch.device("cuda", 0))))
        return {}
    cases = {}
    for case in CASES:
        if case.shape in chosen.shapes:
            cases[case.name] = apart(case)
            print(f"{case.name}: {cases[case.name]}", flush=True)
    result = {
        "what": "random Llama shapes, packed rows of 2,048 tokens, bf16",
        "cases": cases,
        "machine": machine(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
