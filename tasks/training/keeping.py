"""When a checkpoint is saved, and what happens where it cannot be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_contracts.checkpointing import CheckpointPlace
from data_contracts.errors import ArtifactUnwrittenError
from data_contracts.progress import Tell
from data_contracts.records.settings import TrainingSettings
from tasks.training.checkpoints import TrainingState
from tasks.training.course import Course
from tasks.training.sharding import is_first, summed


@dataclass
class Keeper:
    """Saves by minutes and by steps; one that cannot be written costs a warning, not the training."""

    place: CheckpointPlace | None
    """``None`` where nothing would go on from a checkpoint."""
    training: TrainingSettings
    tell: Tell
    saved_step: int | None = None
    """Of the last whole checkpoint."""
    began: float = field(init=False)
    cpu_began: float = field(init=False)
    saved_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.saved_at = time.monotonic()
        self.cpu_began = time.process_time()

    def due(self, step: int) -> bool:
        if self.place is None:
            return False
        by_steps = self.training.checkpoint_steps is not None and step % self.training.checkpoint_steps == 0
        return by_steps or time.monotonic() - self.saved_at >= 60.0 * self.training.checkpoint_minutes

    def save(self, state: TrainingState) -> None:
        """Writes a checkpoint unless there is one of this step; ``saved_step`` says whether it is there."""
        # All processes ask together, so all of their work counts.
        worked = summed(time.process_time() - self.cpu_began)
        if self.place is None or (self.saved_step == state.step and not state.course.evaluation_due):
            return
        if not is_first():
            self.saved_at, self.saved_step = time.monotonic(), state.step
            return
        # Also after a failure: the disk is asked again once the time has come, not at every step.
        self.saved_at = time.monotonic()
        spent = replace(
            state.course,
            seconds=state.course.seconds + time.monotonic() - self.began,
            cpu_seconds=state.course.cpu_seconds + worked,
        )
        try:
            self.place.save(state.step, replace(state, course=spent).write)
        except Exception as error:
            if not is_about_the_disk(error):
                raise
            self._lost(state.course, error)
            return
        self.saved_step = state.step

    def read_newest(self, course: Course) -> TrainingState | None:
        """The state to go on from; ``None`` for a training from the beginning, in ``course``."""
        if self.place is None:
            return None
        found = self.place.find()
        state = None if found.newest is None else TrainingState.read(Path(found.newest.folder))
        course = course if state is None else state.course
        for sentence in found.damaged:
            note(course, sentence, self.tell)
        if state is not None:
            self.saved_step = state.step
            course.resumed_from_steps.append(state.step)
            note(course, f"Went on from the checkpoint of step {state.step:,}.", self.tell)
        return state

    def _lost(self, course: Course, error: Exception) -> None:
        reason = _reason(error)
        after = "begin anew" if self.saved_step is None else f"go on from step {self.saved_step:,}"
        sentence = (
            f"A checkpoint could not be written ({reason}); training goes on, and after a crash "
            f"it would {after}."
        )
        note(course, sentence, self.tell)


def note(course: Course, sentence: str, tell: Tell) -> None:
    """Tells what happened, and keeps it for the evidence; the same thing once."""
    if sentence not in course.incidents:
        course.incidents.append(sentence)
        tell(sentence)


@contextmanager
def writing(artifact: Path) -> Iterator[None]:
    """Inside, a disk that refuses the artifact is one error that says what to do.

    Raises:
        ArtifactUnwrittenError: it could not be written.
    """
    try:
        yield
    except Exception as error:
        if not is_about_the_disk(error):
            raise
        raise ArtifactUnwrittenError(
            f"{artifact}: the trained model could not be written.\n"
            f"    found:    {_reason(error)}\n"
            "    to do:    free some space; the same command goes on from the last checkpoint"
        ) from error


def is_about_the_disk(error: Exception) -> bool:
    """Whether ``error`` says that something could not be written; safetensors has an exception of its own."""
    from safetensors import SafetensorError

    return isinstance(error, OSError | SafetensorError)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
