"""Patience is counted in points of the curve, from the best one on."""

import pytest

from tasks.training.course import Course
from tasks.training.early_stopping import note_point
from tasks.training.memory import fewer_rows


def followed(losses: list[float], patience: int, *, points: int = 100) -> Course:
    """The course after these points, or after the one that stops it."""
    course = Course(micro_batch_size=1, evaluation_batch_size=1)
    for number, loss in enumerate(losses, start=1):
        best = note_point(course, step=10 * number, loss=loss, patience=patience, last=number == points)
        assert best == (course.best_step == 10 * number)
        if course.stopped_early:
            break
    return course


def test_it_stops_after_so_many_points_without_a_lower_loss() -> None:
    course = followed([3.0, 2.0, 2.5, 2.0, 1.0], patience=2)
    assert course.stopped_early and (course.best_step, course.best_loss) == (20, 2.0)


def test_a_lower_loss_in_time_begins_the_count_anew() -> None:
    course = followed([3.0, 2.0, 2.5, 1.9, 2.5, 1.8], patience=2)
    assert not course.stopped_early and course.best_step == 60


def test_after_the_last_point_there_is_nothing_left_to_stop() -> None:
    course = followed([3.0, 2.0, 2.5], patience=1, points=3)
    assert not course.stopped_early and course.best_step == 20


@pytest.mark.parametrize(
    ("rows", "effective", "fewer"),
    [(16, 32, 8), (12, 24, 6), (9, 9, 3), (7, 7, 1), (2, 32, 1), (1, 32, None)],
)
def test_fewer_rows_at_once_still_divide_the_effective_batch(
    rows: int, effective: int, fewer: int | None
) -> None:
    assert fewer_rows(rows, effective) == fewer
