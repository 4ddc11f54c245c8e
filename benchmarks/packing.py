"""When laying rows end to end is faster than padding them: the measurement behind `training.packing: auto`.

    python -m benchmarks.packing            # every cell, alternating, about ten minutes; writes packing.json
    python -m benchmarks.packing --tiny MODEL    # one cell of the model in a folder; writes nothing

A cell is a micro-batch of some rows around some tokens, of which a given share would be padding. Both layouts
of the same rows take a forward and a backward pass of LoRA (rank 16, all linear layers, float32, one thread)
on SmolLM2. Figures are medians of processor seconds over alternating repetitions, after one of each that does
not count.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

RESULT = Path(__file__).with_name("packing.json")


@dataclass(frozen=True)
class Cell:
    """One micro-batch."""

    rows: int
    tokens: int
    """Of the longest row."""
    padding: float
    """Share of the padded positions that hold no token."""
    repetitions: int

    @property
    def lengths(self) -> list[int]:
        """Row lengths that fall evenly from the longest, so far that the share is met."""
        step = 2 * self.padding * self.tokens / max(1, self.rows - 1)
        return [max(1, round(self.tokens - place * step)) for place in range(self.rows)]


SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
CELLS = (
    *(Cell(16, 64, share, 5) for share in SHARES),
    *(Cell(8, 128, share, 5) for share in SHARES),
    *(Cell(4, 512, share, 3) for share in (0.1, 0.3, 0.4)),
)
TINY = (Cell(4, 16, 0.3, 1),)


def adapted(base: Path) -> Any:
    """The model with LoRA on every linear layer, as a pilot has it."""
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import PilotSettings
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung, prepare

    return prepare(base, Head(Task.INSTRUCTION, ()), PilotRung(PilotSettings(rank=16)), seed=17).model.train()


def batches(cell: Cell, vocabulary: int) -> dict[str, dict[str, Any]]:
    """The same rows padded and packed."""
    import numpy as np

    from data_contracts.records.metrics import Task
    from tasks.training.collation import pack, padding_collator
    from tasks.training.loading import Head

    random = np.random.default_rng(17)
    ids = [random.integers(3, vocabulary, size=length).tolist() for length in cell.lengths]
    rows = [{"input_ids": each, "labels": each} for each in ids]

    class Padded:
        pad_token_id = 0

    return {"padded": padding_collator(Head(Task.INSTRUCTION, ()), Padded())(rows), "packed": pack(rows)}


def seconds(model: Any, batch: dict[str, Any]) -> float:
    """Processor seconds of one forward and one backward pass."""
    began = time.process_time()
    model(**batch, use_cache=False).loss.backward()
    taken = time.process_time() - began
    model.zero_grad(set_to_none=True)
    return taken


def measure(model: Any, cell: Cell) -> dict[str, Any]:
    given = batches(cell, model.config.vocab_size)
    tokens = sum(cell.lengths)
    taken: dict[str, list[float]] = {name: [] for name in given}
    for repetition in range(cell.repetitions + 1):
        for name, batch in given.items():
            found = seconds(model, batch)
            if repetition:
                taken[name].append(found)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {
        "rows": cell.rows,
        "longest": cell.tokens,
        "tokens": tokens,
        "padding": round(1 - tokens / (cell.rows * max(cell.lengths)), 3),
        "tokens_per_processor_second": {name: round(tokens / value, 1) for name, value in medians.items()},
        "packed_is_so_many_times_as_fast": round(medians["padded"] / medians["packed"], 2),
        "slowest_over_fastest": {name: round(max(each) / min(each), 2) for name, each in taken.items()},
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", type=Path, metavar="MODEL", help="one cell of this folder's model")
    chosen = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(1)
    if chosen.tiny:
        return {"cells": [measure(adapted(chosen.tiny), cell) for cell in TINY]}
    from benchmarks.training_arms.rows import smollm2

    model = adapted(smollm2(RESULT.parent))
    cells = []
    for cell in CELLS:
        cells.append(measure(model, cell))
        print(json.dumps(cells[-1]), flush=True)
    result = {
        "what": "LoRA of SmolLM2 on one thread: the same rows laid end to end, and padded",
        "cells": cells,
        "machine": machine("torch", "transformers", "peft"),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
