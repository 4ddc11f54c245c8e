"""Training one rung with transformers' Trainer.

Our part is what it may train, in which order rows come, when it must stop, and what it reports.

Float32 throughout, on one process. Checkpoints inside a stage, early stopping and several processes
are not covered here.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import TrainingDivergedError
from data_contracts.progress import Progress, silent
from data_contracts.records.evidence import CurvePoint
from data_contracts.records.metrics import Task
from data_contracts.records.settings import TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.batching import pad_batch
from tasks.training.loading import Head
from tasks.training.order import training_order
from tasks.training.quiet import quiet_libraries
from tasks.training.rungs import FullRung, PilotRung, adapted_module_names, prepare
from tasks.training.saving import save_trained

_EVALUATION_ROWS = 32
"""Rows at once when the loss on ``tune`` is taken; no gradients are kept then."""


@dataclass(frozen=True)
class Fitted:
    """What training did; the artifact lies in the folder it was given."""

    steps: int
    rows_seen: int
    supervised_tokens: int
    trainable_parameters: int
    total_parameters: int
    adapted_modules: tuple[str, ...]
    curve: tuple[CurvePoint, ...]


def fit(
    *,
    base: Path,
    base_name: str,
    base_digest: str,
    head: Head,
    rung: PilotRung | FullRung,
    train: Any,
    tune: Any,
    tokenizer: Any,
    training: TrainingSettings,
    learning_rate: float,
    seed: int,
    artifact: Path,
    progress: Progress = silent,
) -> Fitted:
    """Trains ``rung`` on the encoded rows ``train`` and saves it to ``artifact`` as safetensors.

    ``train`` and ``tune`` are datasets with ``input_ids`` and ``labels``. Rows come in an order that
    depends on ``seed`` and the lengths alone, so that two rungs see the same rows in the same order.
    ``base_name`` and ``base_digest`` are written into an adapter as the model it belongs to.

    Raises:
        PermitRefusedError: see ``prepare``.
        TrainingDivergedError: the loss became NaN or infinite; names the step.
    """
    from transformers import PrinterCallback

    total_steps = planned_steps(len(train), training)
    prepared = prepare(base, head, rung, seed=seed, total_steps=total_steps)
    model = prepared.model
    order = training_order(
        [len(ids) for ids in train["input_ids"]],
        steps=total_steps,
        batch_size=training.effective_batch_size,
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="lorafirst-trainer-") as scratch, quiet_libraries():
        trainer = _trainer_class()(
            model=model,
            args=_arguments(scratch, training, learning_rate, total_steps, seed),
            train_dataset=train.select_columns(["input_ids", "labels"]).select(order),
            eval_dataset=_by_length(tune.select_columns(["input_ids", "labels"])),
            data_collator=_collator(head, tokenizer),
        )
        trainer.remove_callback(PrinterCallback)
        if head.task is Task.CLASSIFICATION:
            # Trainer leaves averaging over micro-batches to any model whose forward takes keywords, and
            # classifiers take them without averaging: the gradient would grow with the accumulation.
            trainer.model_accepts_loss_kwargs = False
        watcher = _watcher(progress, f"train {rung.rung}", total_steps)
        trainer.add_callback(watcher)
        if prepared.method is not None and prepared.method.after_step is not None:
            trainer.add_callback(_after_step(prepared.method.after_step))
        before = float(trainer.evaluate()["eval_loss"])
        trainer.train()
    save_trained(prepared, tokenizer, artifact, base_name=base_name, base_digest=base_digest)
    return Fitted(
        steps=trainer.state.global_step,
        rows_seen=trainer.rows_seen,
        supervised_tokens=trainer.supervised_tokens,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        total_parameters=sum(p.numel() for p in model.parameters()),
        adapted_modules=adapted_module_names(model),
        curve=_curve(before, trainer.state.log_history),
    )


def planned_steps(rows: int, training: TrainingSettings) -> int:
    """Optimizer steps that ``rows`` rows will take: the epochs, or ``max_steps`` if that is fewer."""
    by_epochs = max(1, math.ceil(training.epochs * rows / training.effective_batch_size))
    return min(by_epochs, training.max_steps or by_epochs)


def _by_length(rows: Any) -> Any:
    """Rows of similar length side by side, so that evaluation pads little."""
    ids = rows["input_ids"]
    return rows.select(sorted(range(len(ids)), key=lambda index: len(ids[index])))


def _arguments(
    scratch: str, training: TrainingSettings, learning_rate: float, total_steps: int, seed: int
) -> Any:
    import torch
    from transformers import TrainingArguments

    every = max(1, math.ceil(total_steps / training.curve_points))
    return TrainingArguments(
        output_dir=scratch,
        max_steps=total_steps,
        per_device_train_batch_size=training.rows_in_memory,
        per_device_eval_batch_size=_EVALUATION_ROWS,
        gradient_accumulation_steps=training.effective_batch_size // training.rows_in_memory,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(total_steps * training.warmup_share),
        weight_decay=training.weight_decay,
        max_grad_norm=training.maximum_gradient_norm,
        optim="adamw_torch_fused",
        train_sampling_strategy="sequential",
        logging_strategy="steps",
        logging_steps=every,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=every,
        prediction_loss_only=True,
        save_strategy="no",
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        fp16=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        push_to_hub=False,
    )


def _trainer_class() -> Any:
    """transformers' Trainer, made to stop at the first loss that is not finite, and to count what it saw."""
    import torch
    from transformers import Trainer

    class CountingTrainer(Trainer):  # type: ignore[misc]
        rows_seen = 0
        supervised_tokens = 0

        def training_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
            labels = inputs["labels"]
            self.rows_seen += int(labels.shape[0])
            self.supervised_tokens += int((labels != IGNORED_LABEL).sum())
            loss = super().training_step(model, inputs, *arguments, **options)
            if not torch.isfinite(loss):
                raise TrainingDivergedError(
                    f"Training stopped at step {self.state.global_step + 1} of {self.state.max_steps}: "
                    f"the loss is {float(loss)}.\n"
                    f"    expected: a finite loss\n"
                    f"    to do:    lower the learning rate ({self.args.learning_rate:g}), "
                    "or look for damaged rows"
                )
            return loss

        def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
            metrics: dict[str, float] = super().evaluate(*arguments, **options)
            if not math.isfinite(metrics["eval_loss"]):
                raise TrainingDivergedError(
                    f"Training stopped at step {self.state.global_step} of {self.state.max_steps}: "
                    f"the loss on tune is {metrics['eval_loss']}.\n"
                    f"    expected: a finite loss\n"
                    f"    to do:    lower the learning rate ({self.args.learning_rate:g})"
                )
            return metrics

    return CountingTrainer


def _watcher(progress: Progress, what: str, total_steps: int) -> Any:
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step, total_steps, what)
            if state.global_step == total_steps:
                # The last point of the curve, whether or not the steps divide evenly.
                control.should_log = control.should_evaluate = True

    return Watcher()


def _after_step(act: Callable[[Any, int], None]) -> Any:
    """Calls a method's own work after each optimizer step, while the gradients are still there."""
    from transformers import TrainerCallback

    class AfterStep(TrainerCallback):  # type: ignore[misc]
        def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            act(model, state.global_step + 1)

    return AfterStep()


def _collator(head: Head, tokenizer: Any) -> Any:
    """Pads to the longest row of the batch; attention is masked there and the loss is not taken."""
    import torch

    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        padded = pad_batch([row["input_ids"] for row in rows], pad=pad)
        if head.task is Task.CLASSIFICATION:
            labels = torch.tensor([row["labels"] for row in rows])  # (batch,)
        else:
            labels = torch.full_like(padded.ids, IGNORED_LABEL)  # (batch, tokens)
            for index, row in enumerate(rows):
                labels[index, : len(row["labels"])] = torch.tensor(row["labels"])
        return {"input_ids": padded.ids, "attention_mask": padded.attention, "labels": labels}

    return collate


def _curve(before: float, history: list[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    points = [CurvePoint(step=0, train_loss=None, tune_loss=before, learning_rate=0.0)]
    train_loss: dict[int, tuple[float, float]] = {}
    for log in history:
        if "loss" in log:
            train_loss[log["step"]] = (float(log["loss"]), float(log["learning_rate"]))
        elif "eval_loss" in log and log["step"] > 0:
            loss, rate = train_loss.get(log["step"], (None, 0.0))
            points.append(
                CurvePoint(
                    step=log["step"],
                    train_loss=loss,
                    tune_loss=float(log["eval_loss"]),
                    learning_rate=rate,
                )
            )
    return tuple(points)
