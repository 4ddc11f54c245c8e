"""Training to its end through whatever interrupts it.

A killed process leaves its last checkpoint, and the same call goes on from there. A request to end is granted
after the step, with a checkpoint. Where memory runs out the same step is done again with fewer rows at once,
which changes the gradient by no more than rounding.
"""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from data_contracts.errors import TrainingMemoryError, TrainingStopped
from tasks.training.checkpoints import TrainingState, put_weights
from tasks.training.course import Course
from tasks.training.interruptions import StopRequest
from tasks.training.keeping import Keeper, note
from tasks.training.memory import WHAT_HELPS, fewer_rows, release, shortage_explained
from tasks.training.sharding import wait_for_all, world_size
from tasks.training.trainer import EvaluationCutError, MicroBatchTooLargeError


def train_through(
    build: Callable[[Course], Any], beginning: Course, *, keeper: Keeper, stop: StopRequest, scratch: Path
) -> Any:
    """The trainer after its last step, with the weights to be kept in its model.

    Args:
        build: makes a trainer of our class for a course; once more each time memory ran out.
        beginning: of a training from its first step.
        keeper: knows whether there is something to go on from.
        stop: is looked at after every step and inside every evaluation.
        scratch: a folder for what Trainer reads when it goes on.

    Raises:
        TrainingDivergedError, TrainingMemoryError, TrainingStopped: as ``fit`` says.
    """
    state = keeper.read_newest(beginning)
    trainer = build(beginning if state is None else state.course)
    if state is not None:
        put_weights(trainer.model, state.weights)
        if trainer.method is not None and trainer.method.state is not None:
            trainer.method.state.put(trainer.model, state.method)
        trainer.best_weights = state.best
        if state.best is None and state.course.best_step is not None:
            trainer.best_weights = state.weights
    while True:
        try:
            with shortage_explained("not in a micro-batch, so that fewer rows at once would not help"):
                _go_on(trainer, state, scratch)
            break
        except EvaluationCutError:
            trainer.course.evaluation_due = True
            break
        except MicroBatchTooLargeError as error:
            if world_size() > 1:
                # The others wait for this process in the middle of a step.
                raise TrainingMemoryError(
                    f"Memory ran out at step {trainer.state.global_step + 1} in one of {world_size()} "
                    f"processes.\n    found:    {error}\n    to do:    lower training.micro_batch_size, or "
                    f"{WHAT_HELPS}"
                ) from error
            reason, best = str(error), trainer.best_weights
            state = TrainingState.of(trainer, start=trainer.step_start)
        # Outside of the handler, whose traceback holds the failed micro-batch.
        trainer = None
        release()
        state = _with_fewer_rows(state, keeper, reason)
        trainer = build(state.course)
        trainer.best_weights = best
    if stop.agreed():
        _leave(trainer, keeper, stop)
    if trainer.best_weights is not None:
        put_weights(trainer.model, trainer.best_weights)
    return trainer


def _go_on(trainer: Any, state: TrainingState | None, scratch: Path) -> None:
    course: Course = trainer.course
    if state is None:
        course.untrained_loss = trainer.evaluate()["eval_loss"]
        trainer.train()
        return
    trainer.resumed = state
    trainer_state = scratch / "trainer_state.json"
    trainer_state.write_text(state.trainer, encoding="utf-8")
    trainer.state = type(trainer.state).load_from_json(str(trainer_state))
    if course.evaluation_due:
        trainer.evaluate()
        trainer.state.save_to_json(str(trainer_state))
    if not course.stopped_early:
        trainer.train(resume_from_checkpoint=str(scratch))


def _with_fewer_rows(state: TrainingState, keeper: Keeper, reason: str) -> TrainingState:
    """The same state, to go on from with half the rows at once."""
    rows = state.course.micro_batch_size
    effective = keeper.training.effective_batch_size
    fewer = fewer_rows(rows, effective)
    if fewer is None:
        raise TrainingMemoryError(
            f"Memory ran out at step {state.step + 1}, with one row at a time.\n"
            f"    found:    {reason.strip().splitlines()[0][:200] if reason.strip() else 'no more memory'}\n"
            f"    to do:    {WHAT_HELPS}"
        )
    sentence = (
        f"Memory ran out at step {state.step + 1:,} with {rows} rows at once; training goes on with {fewer}, "
        f"and with {effective} rows a step as before."
    )
    note(state.course, sentence, keeper.tell)
    return replace(state, course=replace(state.course, micro_batch_size=fewer))


def _leave(trainer: Any, keeper: Keeper, stop: StopRequest) -> NoReturn:
    """Saves what there is to save and ends as asked.

    Raises:
        TrainingStopped: always.
    """
    assert stop.signal_number is not None
    step, total = trainer.state.global_step, trainer.args.max_steps
    # Without an optimizer nothing was done since the checkpoint that was read.
    if step and trainer.optimizer is not None:
        keeper.save(TrainingState.of(trainer))
        # Whoever leaves first ends the others, of which one is still writing.
        wait_for_all()
    if keeper.saved_step is None:
        after = "nothing is saved yet, and the same command begins this training anew"
    elif keeper.saved_step == step:
        after = f"saved at step {step:,} of {total:,}; the same command goes on from there"
    else:
        after = (
            f"step {step:,} of {total:,} could not be saved; the same command goes on from step "
            f"{keeper.saved_step:,}"
        )
    name = signal.Signals(stop.signal_number).name
    raise TrainingStopped(f"Stopped by {name}: {after}.", signal_number=stop.signal_number)
