"""From what runs found to what is written: medians, ratios, shares of the machine's matrix products."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.training_arms.limit import operations_per_token
from benchmarks.training_arms.plan import OURS, RANK, Size
from benchmarks.training_arms.processes import ROOT, Run

RATE = "supervised_tokens_per_processor_second"


def counted(run: Run, size: Size, key: str) -> float:
    """The sum of ``key`` over the counted steps: all but the first."""
    marks = run["marks"]
    return float(marks[-1][key] - marks[min(size.uncounted, len(marks) - 1) - 1][key])


def supervised_per_second(run: Run, size: Size) -> float:
    return counted(run, size, "supervised") / counted(run, size, "processor_seconds")


def figures_of(runs: Sequence[Run], size: Size) -> dict[str, Any]:
    """Medians over an arm's runs; or why none finished."""
    finished = [run for run in runs if "failed" not in run]
    if not finished:
        return {"failed": runs[0]["failed"]}
    rates = [supervised_per_second(run, size) for run in finished]
    last = finished[-1]
    return {
        RATE: round(statistics.median(rates), 1),
        "slowest_and_fastest_run": [round(min(rates), 1), round(max(rates), 1)],
        "peak_memory_gib": round(statistics.median(run["peak_bytes"] for run in finished) / 2**30, 2),
        "real_tokens_of_positions": round(last["marks"][-1]["real"] / last["marks"][-1]["positions"], 3),
        "supervised_tokens": last["marks"][-1]["supervised"],
        "steps": len(last["marks"]),
        "loss_of_each_step": [round(mark["loss"], 4) for mark in last["marks"]],
        "loss_afterwards_on_other_rows": round(last["judged"]["after"], 4),
        **({"artifact_bytes": last["artifact_bytes"]} if "artifact_bytes" in last else {}),
    }


def cell_of(
    runs: dict[str, list[Run]],
    size: Size,
    *,
    method: str,
    lengths: dict[str, Any],
    configuration: Any,
    best_product: float,
) -> dict[str, Any]:
    """All arms of one cell, each beside ours, and the share of the machine's products that ours reaches.

    ``best_product``: billions of operations a processor second. ``lengths``: of the rows, in tokens.
    """
    arms = {name: figures_of(each, size) for name, each in runs.items()}
    ours = arms[OURS]
    if "failed" in ours:
        return {"arms": arms}
    run = runs[OURS][-1]
    tokens = counted(run, size, "real") / counted(run, size, "supervised") * ours[RATE]
    operations = operations_per_token(configuration, method=method, rank=RANK, tokens=lengths["mean"])
    finished = {name: arm for name, arm in arms.items() if "failed" not in arm}
    return {
        "rows_of_tokens": lengths,
        "rows_per_step": size.effective_batch_size,
        "counted_runs": size.runs,
        "loss_before_on_other_rows": round(run["judged"]["before"], 4),
        "lorafirst_is_so_many_times_as_fast": {
            name: round(ours[RATE] / arm[RATE], 2) for name, arm in finished.items()
        },
        "lorafirst_takes_so_many_times_the_memory": {
            name: round(ours["peak_memory_gib"] / arm["peak_memory_gib"], 2) for name, arm in finished.items()
        },
        "lorafirst_tokens_per_processor_second": round(tokens, 1),
        "operations_per_token": round(operations),
        "share_of_matrix_products": round(tokens * operations / best_product / 1e9, 2),
        "arms": arms,
    }


GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::matmul", "aten::linear"),
    "attention": ("aten::_scaled_dot_product", "aten::_flash_attention"),
    "loss over the vocabulary": ("aten::_log_softmax", "aten::nll_loss", "aten::cross_entropy"),
    "optimizer and clipping": ("aten::_fused_adam", "aten::_foreach", "aten::linalg_vector_norm"),
    "four bits": ("bitsandbytes::",),
}
"""Beginnings of the names of operators; the rest is elementwise work and copies."""


def where_time_goes(profile: dict[str, float]) -> dict[str, float]:
    """Shares of the operators' own time."""
    total = sum(profile.values())
    shares = {
        group: sum(seconds for name, seconds in profile.items() if name.startswith(names)) / total
        for group, names in GROUPS.items()
    }
    shares["elementwise and copies"] = 1 - sum(shares.values())
    return {group: round(share, 3) for group, share in shares.items()}


def lora_beside_full(cells: dict[str, Any], latency: dict[str, Any]) -> dict[str, Any]:
    """The literature's claims, with what was found here."""
    decisions = json.loads((ROOT / "benchmarks" / "decisions.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {"full over lora": {}}
    for place in sorted({name.rpartition(", ")[0] for name in cells}):
        lora, full = (cells[f"{place}, {method}"]["arms"][OURS] for method in ("lora", "full"))
        found["full over lora"][place] = {
            "time_per_token": round(lora[RATE] / full[RATE], 2),
            "peak_memory": round(full["peak_memory_gib"] / lora["peak_memory_gib"], 2),
            "artifact": round(full["artifact_bytes"] / lora["artifact_bytes"], 1),
        }
    base = latency["seconds_per_token"]["base"]
    found["time of an answer over the base's"] = {
        name: round(seconds / base, 2) for name, seconds in latency["seconds_per_token"].items()
    }
    found["quality after a sweep, means over three seeds (decisions.json)"] = {
        family["family"]: {arm: family["truth"][arm]["mean"] for arm in ("lora", "full")}
        for family in decisions["families"]
    }
    return found
