"""Training one rung with transformers' Trainer: what it may train, in which order rows come, what it reports.

In float32, or with matrix products in bfloat16; on one process or, started by torchrun, on several. How it
survives being killed, asked to end, or short of memory is in ``survival``.
"""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.checkpointing import CheckpointPlace
from data_contracts.progress import Progress, Tell, silent, untold
from data_contracts.records.base import Cost
from data_contracts.records.evidence import CurvePoint, SeenTokens, TrainingConditions
from data_contracts.records.metrics import Task
from data_contracts.records.settings import TrainingSettings
from tasks.training.arguments import rows_at_once, training_arguments
from tasks.training.course import Course
from tasks.training.determinism import deterministic_algorithms
from tasks.training.inputs import TrainingInputs
from tasks.training.interruptions import stop_requests
from tasks.training.keeping import Keeper, writing
from tasks.training.loading import Head, require_same_base
from tasks.training.memory import shortage_explained
from tasks.training.mixture import mix
from tasks.training.quiet import quiet_libraries
from tasks.training.rungs import FullRung, adapted_module_names, prepare
from tasks.training.saving import save_trained
from tasks.training.sharding import shard, wait_for_all, world_size
from tasks.training.survival import train_through
from tasks.training.tensors import tensors_for
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
    seen: SeenTokens
    conditions: TrainingConditions
    earlier: Cost
    """What the processes that were interrupted had spent up to the checkpoints that training went on from."""


def fit(
    given: TrainingInputs,
    *,
    artifact: Path,
    checkpoints: CheckpointPlace | None = None,
    progress: Progress = silent,
    tell: Tell = untold,
) -> Fitted:
    """Trains a rung on its rows and saves it to ``artifact`` as safetensors.

    Rows come in an order that depends on the seed and the lengths alone, so that two rungs see the same rows
    in the same order; so do the rows replayed among them. With ``checkpoints`` it goes on from the newest
    whole one there; whoever gives the place sees to it that they are of this very training.

    Raises:
        PermitRefusedError: base weights would be updated, and no permit was redeemed for that.
        InputError: rows are to be packed, and the model does not keep them apart; or the adapter to go on
            from is of another base, or of another shape.
        TrainingDivergedError: the loss or a gradient became NaN or infinite, or the loss exploded; names the
            step.
        ArtifactUnwrittenError: the artifact could not be written.
        TrainingMemoryError: not even one row at a time fits.
        TrainingStopped: the process was asked to end; where there is a place for it, the state is saved.
    """
    head, rung, training, seed = given.head, given.rung, given.training, given.seed
    if isinstance(rung, FullRung):
        rung.require(seed=seed, base_model=given.base_digest)
    elif rung.start is not None:
        require_same_base(rung.start, given.base_digest)
    total_steps = planned_steps(len(given.train), training)
    mixture = mix(given.train, given.replayed, steps=total_steps, training=training, seed=seed)
    with shortage_explained("the model does not fit"):
        prepared = prepare(given.base, head, rung, seed=seed, total_steps=total_steps)
    model, what = prepared.model, f"train {rung.rung}"
    micro = rows_at_once(training.rows_in_memory, training.effective_batch_size)
    tensors = tensors_for(model, head, given.tokenizer, training, mixture, micro_batch_size=micro)
    sharded = shard(model, prepared.method)
    artifact.parent.mkdir(parents=True, exist_ok=True)
    with (
        # Beside the artifact, because whoever is killed leaves it, and what is unfinished there is cleared.
        tempfile.TemporaryDirectory(prefix=".trainer-", dir=artifact.parent) as scratch,
        quiet_libraries(),
        deterministic_algorithms() as deterministic,
        stop_requests() as stop,
    ):

        def build(course: Course) -> Any:
            # A checkpoint of fewer processes may have had more rows in each.
            course.micro_batch_size = rows_at_once(course.micro_batch_size, training.effective_batch_size)
            trainer = trainer_class()(
                model=model,
                args=training_arguments(
                    scratch, training, course, given.learning_rate, total_steps, seed, head.precision
                ),
                train_dataset=mixture.rows,
                eval_dataset=_by_length(given.tune.select_columns(["input_ids", "labels"])),
                data_collator=tensors.collate,
            )
            if head.task is Task.CLASSIFICATION:
                # Trainer leaves averaging over micro-batches to any model whose forward takes keywords, and
                # classifiers take them without averaging: the gradient would grow with the accumulation.
                trainer.model_accepts_loss_kwargs = False
            trainer.collate_evaluation = tensors.collate_evaluation
            trainer.course, trainer.training, trainer.method = course, training, prepared.method
            trainer.keeper, trainer.stop = keeper, stop
            add_callback(trainer, progress, what, total_steps)
            return trainer

        keeper = Keeper(checkpoints, training, tell)
        beginning = Course(micro_batch_size=micro, evaluation_batch_size=_EVALUATION_ROWS)
        trainer = train_through(build, beginning, keeper=keeper, stop=stop, scratch=Path(scratch))
        course: Course = trainer.course
    with writing(artifact):
        save_trained(
            prepared,
            given.tokenizer,
            artifact,
            base_name=given.base_name,
            base_digest=given.base_digest,
            precision=head.precision,
        )
    wait_for_all()
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
        seen=tensors.seen(
            steps=steps,
            effective_batch_size=training.effective_batch_size,
            micro_batch_size=course.micro_batch_size,
        ),
        conditions=_conditions(course, model, head, deterministic=deterministic, sharded=sharded),
        earlier=Cost(seconds=course.seconds, cpu_seconds=course.cpu_seconds, peak_memory_bytes=0),
    )


def _conditions(
    course: Course, model: Any, head: Head, *, deterministic: bool, sharded: bool
) -> TrainingConditions:
    import torch

    return TrainingConditions(
        device=model.device.type,
        precision=head.precision,
        torch_threads=torch.get_num_threads(),
        deterministic_algorithms=deterministic,
        processes=world_size(),
        sharded=sharded,
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
