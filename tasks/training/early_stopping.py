"""Early stopping on ``tune``: when the loss no longer improves, and which weights are kept.

The same rule for every rung, so that a comparison of pilot and full stays fair: whoever stops early has had
the steps that helped it.
"""

from data_contracts.records.settings import TrainingSettings
from tasks.training.course import Course


def note_point(course: Course, *, step: int, loss: float, patience: int, last: bool) -> bool:
    """Notes a point of the curve in ``course``; whether it is the best so far.

    ``course.stopped_early`` is set once ``patience`` points in a row were no better than the best before,
    unless this is the ``last`` point, after which there is nothing left to stop.
    """
    if course.best_loss is None or loss < course.best_loss:
        course.best_step, course.best_loss = step, loss
        course.points_without_improvement = 0
        return True
    course.points_without_improvement += 1
    course.stopped_early = course.points_without_improvement >= patience and not last
    return False


def stop_sentence(course: Course, training: TrainingSettings, *, step: int) -> str:
    return (
        f"Stopped early at step {step:,}: the loss on tune did not improve for "
        f"{training.early_stopping_points} points; the weights of step {course.best_step:,} are kept."
    )
