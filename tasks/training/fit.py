"""Training one rung with transformers' Trainer: what it may train, in which order rows come, what it reports.

Float32 throughout, on one process. How it survives being killed, asked to end, or short of memory is in
``survival``.
"""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.checkpointing import CheckpointPlace
from data_contracts.progress import Progress, Tell, silent, untold
from data_contracts.records.base import Cost
from data_contracts.records.evidence import CurvePoint, TrainingConditions
from data_contracts.records.metrics import Task
from data_contracts.records.settings import TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.arguments import training_arguments
from tasks.training.batching import pad_batch
from tasks.training.course import Course
from tasks.training.determinism import deterministic_algorithms
from tasks.training.interruptions import stop_requests
from tasks.training.keeping import Keeper, writing
from tasks.training.memory import shortage_explained
from tasks.training.order import training_order
from tasks.training.quiet import quiet_libraries
from tasks.training.rungs import FullRung, Head, PilotRung, adapted_module_names, prepare
from tasks.training.survival import train_through
from tasks.training.trainer import add_callback, trainer_class

_EVALUATION_ROWS = 32
"""Rows at once when the loss on ``tune`` is taken; no gradients are kept then."""


@dataclass(frozen=True)
class Fitted:
    """What training did; the artifact lies in the folder it was given."""

    steps: int
    stopped_early: bool
    kept_step: int
    """Whose weights were saved."""
    rows_seen: int
    supervised_tokens: int
    trainable_parameters: int
    total_parameters: int
    adapted_modules: tuple[str, ...]
    curve: tuple[CurvePoint, ...]
    conditions: TrainingConditions
    earlier: Cost
    """What the processes that were interrupted had spent up to the checkpoints that training went on from."""


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
    checkpoints: CheckpointPlace | None = None,
    progress: Progress = silent,
    tell: Tell = untold,
) -> Fitted:
    """Trains ``rung`` on the encoded rows ``train`` and saves it to ``artifact`` as safetensors.

    ``train`` and ``tune`` are datasets with ``input_ids`` and ``labels``. Rows come in an order that
    depends on ``seed`` and the lengths alone, so that two rungs see the same rows in the same order.
    ``base_name`` is written into the adapter as the model it belongs to. With ``checkpoints`` it goes on from
    the newest whole one there; whoever gives the place sees to it that they are of this very training.

    Raises:
        PermitRefusedError: see ``prepare``.
        TrainingDivergedError: the loss or a gradient became NaN or infinite, or the loss exploded; names the
            step.
        ArtifactUnwrittenError: the artifact could not be written.
        TrainingMemoryError: not even one row at a time fits.
        TrainingStopped: the process was asked to end; where there is a place for it, the state is saved.
    """
    total_steps = planned_steps(len(train), training)
    order = training_order(
        [len(ids) for ids in train["input_ids"]],
        steps=total_steps,
        batch_size=training.effective_batch_size,
        seed=seed,
    )
    with shortage_explained("the model does not fit"):
        model = prepare(base, head, rung, seed=seed)
    what = f"train {rung.rung.value}"
    with (
        tempfile.TemporaryDirectory(prefix="lorafirst-trainer-") as scratch,
        quiet_libraries(),
        deterministic_algorithms() as deterministic,
        stop_requests() as stop,
    ):

        def build(course: Course) -> Any:
            trainer = trainer_class()(
                model=model,
                args=training_arguments(scratch, training, course, learning_rate, total_steps, seed),
                train_dataset=train.select_columns(["input_ids", "labels"]).select(order),
                eval_dataset=_by_length(tune.select_columns(["input_ids", "labels"])),
                data_collator=_collator(head, tokenizer),
            )
            if head.task is Task.CLASSIFICATION:
                # Trainer leaves averaging over micro-batches to any model whose forward takes keywords, and
                # classifiers take them without averaging: the gradient would grow with the accumulation.
                trainer.model_accepts_loss_kwargs = False
            trainer.course, trainer.training = course, training
            trainer.keeper, trainer.stop = keeper, stop
            add_callback(trainer, progress, what, total_steps)
            return trainer

        keeper = Keeper(checkpoints, training, tell)
        beginning = Course(micro_batch_size=training.rows_in_memory, evaluation_batch_size=_EVALUATION_ROWS)
        trainer = train_through(build, beginning, keeper=keeper, stop=stop, scratch=Path(scratch))
        course: Course = trainer.course
    with writing(artifact):
        _save(model, tokenizer, rung, base_name, artifact)
        _in_one_order(artifact / "adapter_config.json")
    steps = trainer.state.global_step
    return Fitted(
        steps=steps,
        stopped_early=course.stopped_early,
        kept_step=steps if course.best_step is None else course.best_step,
        rows_seen=course.rows_seen,
        supervised_tokens=course.supervised_tokens,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        total_parameters=sum(p.numel() for p in model.parameters()),
        adapted_modules=adapted_module_names(model),
        curve=_curve(course, trainer.state.log_history),
        conditions=_conditions(course, model, deterministic=deterministic),
        earlier=Cost(seconds=course.seconds, cpu_seconds=course.cpu_seconds, peak_memory_bytes=0),
    )


def _conditions(course: Course, model: Any, *, deterministic: bool) -> TrainingConditions:
    import torch

    return TrainingConditions(
        device=model.device.type,
        torch_threads=torch.get_num_threads(),
        deterministic_algorithms=deterministic,
        micro_batch_size=course.micro_batch_size,
        evaluation_batch_size=course.evaluation_batch_size,
        resumed_from_steps=tuple(course.resumed_from_steps),
        incidents=tuple(course.incidents),
    )


def planned_steps(rows: int, training: TrainingSettings) -> int:
    """Optimizer steps that ``rows`` rows will take: the epochs, or ``max_steps`` if that is fewer."""
    by_epochs = max(1, math.ceil(training.epochs * rows / training.effective_batch_size))
    return min(by_epochs, training.max_steps or by_epochs)


def _by_length(rows: Any) -> Any:
    """Rows of similar length side by side, so that evaluation pads little."""
    ids = rows["input_ids"]
    return rows.select(sorted(range(len(ids)), key=lambda index: len(ids[index])))


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


def _curve(course: Course, history: list[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    assert course.untrained_loss is not None
    points = [CurvePoint(step=0, train_loss=None, tune_loss=course.untrained_loss, learning_rate=0.0)]
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


def _in_one_order(configuration: Path) -> None:
    """Sorts what peft keeps as sets: their order differs from process to process, and with it the digest."""
    if not configuration.exists():
        return
    content = json.loads(configuration.read_bytes())
    for name in ("target_modules", "exclude_modules"):
        if isinstance(content.get(name), list):
            content[name].sort()
    configuration.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
