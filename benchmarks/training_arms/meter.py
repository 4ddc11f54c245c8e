"""One meter for every arm: what transformers' Trainer did, step by step, whoever wrapped it.

It counts at ``Trainer.training_step`` and at the end of each optimizer step, which all arms pass through, and
takes the loss on rows that no arm trained on from the model in memory, by the same few lines for all.
"""

import time
from pathlib import Path
from typing import Any

IGNORED = -100


class Meter:
    """Marks at the end of each optimizer step; call ``install`` before the arm imports its trainer."""

    def __init__(self, judge: Path, *, before: bool = False, profile_after: int | None = None) -> None:
        self.judge = judge
        self.before = before
        self.profile_after = profile_after
        self.marks: list[dict[str, float]] = []
        self.judged: dict[str, float] = {}
        self.peak_bytes = 0
        self.profile: dict[str, float] = {}
        self._counts = {"supervised": 0, "real": 0, "positions": 0}
        self._loss = 0.0
        self._profiler: Any = None

    def install(self) -> None:
        from transformers import Trainer
        from transformers.trainer_callback import CallbackHandler

        step, end_of_step = Trainer.training_step, CallbackHandler.on_step_end
        begin, end = CallbackHandler.on_train_begin, CallbackHandler.on_train_end

        def training_step(trainer: Any, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
            self._count(inputs)
            loss = step(trainer, model, inputs, *rest, **options)
            self._loss += float(loss)
            return loss

        def on_step_end(handler: Any, args: Any, state: Any, *rest: Any, **options: Any) -> Any:
            self._mark(last=state.global_step >= state.max_steps)
            return end_of_step(handler, args, state, *rest, **options)

        def on_train_begin(handler: Any, *rest: Any, **options: Any) -> Any:
            if self.before:
                self.judged["before"] = judged_loss(handler.model, self.judge)
            forget_peak()
            self.start = time.process_time()
            return begin(handler, *rest, **options)

        def on_train_end(handler: Any, *rest: Any, **options: Any) -> Any:
            self.peak_bytes = status_bytes("VmHWM")
            self.judged["after"] = judged_loss(handler.model, self.judge)
            return end(handler, *rest, **options)

        Trainer.training_step = training_step
        CallbackHandler.on_step_end = on_step_end
        CallbackHandler.on_train_begin = on_train_begin
        CallbackHandler.on_train_end = on_train_end

    def _count(self, inputs: Any) -> None:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        self._counts["supervised"] += int((inputs["labels"] != IGNORED).sum())
        self._counts["positions"] += ids.numel()
        # A packed row comes without a mask, or with one that numbers its rows.
        self._counts["real"] += ids.numel() if mask is None or mask.dim() != 2 else int((mask != 0).sum())

    def _mark(self, *, last: bool) -> None:
        now = time.process_time()
        self.marks.append({"processor_seconds": now - self.start, "loss": self._loss, **self._counts})
        self._loss = 0.0
        if self._profiler is not None and last:
            self._profiler.__exit__(None, None, None)
        if self.profile_after == len(self.marks):
            self._profiler = _profiler()
            self._profiler.__enter__()

    def figures(self) -> dict[str, Any]:
        if not self.marks:
            raise SystemExit("no optimizer step passed through transformers' Trainer: nothing was measured")
        found: dict[str, Any] = {"marks": self.marks, "judged": self.judged, "peak_bytes": self.peak_bytes}
        if self._profiler is not None:
            found["profile"] = _by_operator(self._profiler)
        return found


def judged_loss(model: Any, rows: Path) -> float:
    """Mean loss per supervised token of ``rows``, one at a time, by the model as it is."""
    import pandas as pd
    import torch

    training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for row in pd.read_parquet(rows).to_dict("records"):
            ids, labels = torch.tensor([list(row["input_ids"])]), torch.tensor(list(row["labels"]))
            logits = model(input_ids=ids).logits[0, :-1].float()  # (tokens - 1, vocabulary)
            wanted = labels[1:]
            total += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
            tokens += int((wanted != IGNORED).sum())
    model.train(training)
    return total / tokens


def forget_peak() -> None:
    """Makes ``VmHWM`` begin anew at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _profiler() -> Any:
    from torch.profiler import ProfilerActivity, profile

    return profile(activities=[ProfilerActivity.CPU])


def _by_operator(profiler: Any) -> dict[str, float]:
    """Seconds of each operator itself."""
    return {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
