"""Training one rung with transformers' Trainer.

Our part is what it may train, in which order rows come, when it must stop, and what it reports.

Float32 throughout, on one process. Checkpoints inside a stage, early stopping and several processes
are not covered here.
"""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import TrainingDivergedError
from data_contracts.progress import Progress, silent
from data_contracts.records.evidence import CurvePoint, SeenTokens
from data_contracts.records.metrics import Task
from data_contracts.records.settings import TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.collation import rows_in
from tasks.training.mixture import mix
from tasks.training.quiet import quiet_libraries
from tasks.training.rungs import FullRung, Head, PilotRung, adapted_module_names, prepare
from tasks.training.tensors import tensors_for

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
    seen: SeenTokens


def fit(
    *,
    base: Path,
    base_name: str,
    head: Head,
    rung: PilotRung | FullRung,
    train: Any,
    tune: Any,
    tokenizer: Any,
    training: TrainingSettings,
    learning_rate: float,
    seed: int,
    artifact: Path,
    replayed: Any | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Trains ``rung`` on the encoded rows ``train`` and saves it to ``artifact`` as safetensors.

    ``train`` and ``tune`` are datasets with ``input_ids`` and ``labels``. Rows come in an order that
    depends on ``seed`` and the lengths alone, so that two rungs see the same rows in the same order; so do
    the rows ``replayed`` among them, in the share that ``training`` says.
    ``base_name`` is written into the adapter as the model it belongs to.

    Raises:
        PermitRefusedError: see ``prepare``.
        InputError: rows are to be packed, and the model does not keep them apart.
        TrainingDivergedError: the loss became NaN or infinite; names the step.
    """
    from transformers import PrinterCallback

    model = prepare(base, head, rung, seed=seed)
    total_steps = planned_steps(len(train), training)
    mixture = mix(train, replayed, steps=total_steps, training=training, seed=seed)
    tensors = tensors_for(model, head, tokenizer, training, mixture)
    with tempfile.TemporaryDirectory(prefix="lorafirst-trainer-") as scratch, quiet_libraries():
        trainer = _trainer_class()(
            model=model,
            args=_arguments(scratch, training, learning_rate, total_steps, seed),
            train_dataset=mixture.rows,
            eval_dataset=_by_length(tune.select_columns(["input_ids", "labels"])),
            data_collator=tensors.collate,
        )
        trainer.collate_evaluation = tensors.collate_evaluation
        trainer.remove_callback(PrinterCallback)
        if head.task is Task.CLASSIFICATION:
            # Trainer leaves averaging over micro-batches to any model whose forward takes keywords, and
            # classifiers take them without averaging: the gradient would grow with the accumulation.
            trainer.model_accepts_loss_kwargs = False
        watcher = _watcher(progress, f"train {rung.rung.value}", total_steps)
        trainer.add_callback(watcher)
        before = float(trainer.evaluate()["eval_loss"])
        trainer.train()
    _save(model, tokenizer, rung, base_name, artifact)
    return Fitted(
        steps=trainer.state.global_step,
        rows_seen=trainer.rows_seen,
        supervised_tokens=trainer.supervised_tokens,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        total_parameters=sum(p.numel() for p in model.parameters()),
        adapted_modules=adapted_module_names(model),
        curve=_curve(before, trainer.state.log_history),
        seen=tensors.seen,
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
        data_collator: Any
        collate_evaluation: Any = None

        def get_eval_dataloader(self, *arguments: Any, **options: Any) -> Any:
            # Many rows of like length at once: a sequence of them all would be long, and saves no padding.
            collate: Any = self.data_collator
            self.data_collator = self.collate_evaluation
            try:
                return super().get_eval_dataloader(*arguments, **options)
            finally:
                self.data_collator = collate

        def training_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
            labels = inputs["labels"]
            self.rows_seen += rows_in(inputs)
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


def _save(model: Any, tokenizer: Any, rung: PilotRung | FullRung, base_name: str, artifact: Path) -> None:
    artifact.mkdir(parents=True, exist_ok=True)
    if isinstance(rung, PilotRung):
        for settings in model.peft_config.values():
            settings.base_model_name_or_path = base_name
        with quiet_libraries():
            # Embeddings are never adapted here; asking peft to find out would make it look on the hub.
            model.save_pretrained(artifact, safe_serialization=True, save_embedding_layers=False)
        # peft writes a card of its own that names the machine's folders.
        (artifact / "README.md").unlink(missing_ok=True)
    else:
        with quiet_libraries():
            model.save_pretrained(artifact)
            tokenizer.save_pretrained(artifact)
        (artifact / "tokenizer.model").unlink(missing_ok=True)
