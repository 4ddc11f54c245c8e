"""transformers' Trainer, made to survive: the few methods that have to be others.

What is changed: it stops at the first loss or gradient that is not finite and where the loss explodes, it
saves and restores checkpoints of our own form, it says where memory ran out, and it can be asked to end.
"""

import math
from typing import Any

from data_contracts.errors import TrainingDivergedError
from data_contracts.progress import Progress
from data_contracts.records.settings import TrainingSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.checkpoints import RandomState, StepStart, TrainingState, put_optimizer, trainable_weights
from tasks.training.collation import rows_in
from tasks.training.course import Course
from tasks.training.divergence import FACTOR, STEPS_IN_A_ROW, WINDOW, has_exploded
from tasks.training.early_stopping import note_point, stop_sentence
from tasks.training.interruptions import StopRequest
from tasks.training.keeping import Keeper, note
from tasks.training.memory import fewer_rows, is_out_of_memory, release
from tasks.training.methods.kinds import AdapterMethod


class MicroBatchTooLargeError(Exception):
    """Memory ran out between two optimizer steps; ``step_start`` of the trainer says how it was before."""


class EvaluationCutError(Exception):
    """The process was asked to end while the loss on ``tune`` was taken."""


def trainer_class() -> Any:
    """The class, made here because transformers is imported only where something is trained."""
    import torch
    from transformers import Trainer

    class SurvivingTrainer(Trainer):  # type: ignore[misc]
        course: Course
        training: TrainingSettings
        keeper: Keeper
        stop: StopRequest
        data_collator: Any
        collate_evaluation: Any = None
        """For rows of ``tune``."""
        method: AdapterMethod | None
        """``None`` where base weights are updated."""
        resumed: TrainingState | None = None
        """What ``train`` goes on from."""
        best_weights: dict[str, Any] | None = None
        """Copies in the processor's memory; only with early stopping."""
        step_start: StepStart | None = None
        step_loss = 0.0

        def get_eval_dataloader(self, *arguments: Any, **options: Any) -> Any:
            # Many rows of like length at once: a sequence of them all would be long, and saves no padding.
            collate: Any = self.data_collator
            self.data_collator = self.collate_evaluation
            try:
                return super().get_eval_dataloader(*arguments, **options)
            finally:
                self.data_collator = collate

        def begin_step(self) -> None:
            self.step_loss = 0.0
            self.step_start = StepStart(
                RandomState.now(),
                self._tr_loss.clone(),
                self.course.rows_seen,
                self.course.supervised_tokens,
            )

        def training_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
            labels = inputs["labels"]
            self.course.rows_seen += rows_in(inputs)
            self.course.supervised_tokens += int((labels != IGNORED_LABEL).sum())
            try:
                loss = super().training_step(model, inputs, *arguments, **options)
            except Exception as error:
                if is_out_of_memory(error):
                    raise MicroBatchTooLargeError(str(error)) from error
                raise
            self.step_loss += float(loss)
            if not math.isfinite(self.step_loss):
                raise self._diverged(self.state.global_step + 1, f"the loss is {float(loss)}")
            return loss

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
            norm = super()._get_grad_norm(model, grad_norm=grad_norm)
            if not math.isfinite(float(norm)):
                raise self._diverged(self.state.global_step + 1, f"the norm of the gradient is {float(norm)}")
            return norm

        def end_step(self) -> None:
            losses = self.course.step_losses
            losses.append(self.step_loss)
            del losses[: -WINDOW - STEPS_IN_A_ROW]
            assert self.course.untrained_loss is not None
            if has_exploded(losses, untrained=self.course.untrained_loss):
                raise self._diverged(
                    self.state.global_step,
                    f"for {STEPS_IN_A_ROW} steps the loss was at least {min(losses[-STEPS_IN_A_ROW:]):.3g}, "
                    f"more than {FACTOR:g} times its usual size and that of the untrained model "
                    f"({self.course.untrained_loss:.3g} on tune)",
                )

        def _diverged(self, step: int, found: str) -> TrainingDivergedError:
            return TrainingDivergedError(
                f"Training stopped at step {step} of {self.args.max_steps}: {found}.\n"
                f"    expected: a finite loss that does not explode\n"
                f"    to do:    lower the learning rate ({self.args.learning_rate:g}), "
                "or look for damaged rows"
            )

        def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
            # Without its own random numbers, so that how often the curve is taken changes no weights.
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                metrics = self._evaluate_in_memory(*arguments, **options)
            step, loss = self.state.global_step, metrics["eval_loss"]
            if not math.isfinite(loss):
                raise self._diverged(step, f"the loss on tune is {loss}")
            self.course.evaluation_due = False
            patience = self.training.early_stopping_points
            if step and patience is not None:
                self._note_point(step, loss, patience)
            return metrics

        def _evaluate_in_memory(self, *arguments: Any, **options: Any) -> dict[str, float]:
            while True:
                try:
                    metrics: dict[str, float] = super().evaluate(*arguments, **options)
                    return metrics
                except Exception as error:
                    rows = self.args.per_device_eval_batch_size
                    fewer = fewer_rows(rows, rows) if is_out_of_memory(error) else None
                    if fewer is None:
                        raise
                release()
                self.args.per_device_eval_batch_size = self.course.evaluation_batch_size = fewer
                sentence = f"Memory ran out with {rows} rows of tune at once; it goes on with {fewer}."
                note(self.course, sentence, self.keeper.tell)

        def prediction_step(self, *arguments: Any, **options: Any) -> Any:
            if self.stop:
                raise EvaluationCutError
            return super().prediction_step(*arguments, **options)

        def _note_point(self, step: int, loss: float, patience: int) -> None:
            last = step == self.args.max_steps
            if note_point(self.course, step=step, loss=loss, patience=patience, last=last):
                weights = trainable_weights(self.model)
                self.best_weights = {name: tensor.cpu().clone() for name, tensor in weights.items()}
            if self.course.stopped_early:
                self.control.should_training_stop = True
                note(self.course, stop_sentence(self.course, self.training, step=step), self.keeper.tell)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            self.keeper.save(TrainingState.of(self))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            """The weights were put in before."""

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if self.resumed is not None:
                put_optimizer(self, self.resumed)

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if self.resumed is not None:
                self.resumed.random.restore()

        def resume_log(self) -> None:
            """Trainer begins a new running loss whenever it is started."""
            if self.resumed is not None:
                self._tr_loss += self.resumed.running_loss
                self._globalstep_last_logged = self.resumed.last_logged_step

    return SurvivingTrainer


def add_callback(trainer: Any, progress: Progress, what: str, total_steps: int) -> None:
    """Follows the steps: progress, the last point of the curve, checkpoints, and being asked to end."""
    from transformers import PrinterCallback, TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.resume_log()

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.begin_step()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if trainer.method is not None and trainer.method.after_step is not None:
                trainer.method.after_step(trainer.model, state.global_step + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.end_step()
            progress(state.global_step, total_steps, what)
            if state.global_step == total_steps:
                # The last point of the curve, whether or not the steps divide evenly.
                control.should_log = control.should_evaluate = True
            elif trainer.stop:
                control.should_training_stop = True
            elif trainer.keeper.due(state.global_step):
                control.should_save = True

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Steps())
