"""A loss several times its usual size, step after step, is an explosion; a spike is none."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.training.divergence import FACTOR, STEPS_IN_A_ROW, WINDOW, has_exploded


def test_ten_high_steps_in_a_row_explode() -> None:
    calm = [2.0] * 20
    assert not has_exploded([*calm, *[7.0] * (STEPS_IN_A_ROW - 1)], untrained=2.0)
    assert has_exploded([*calm, *[7.0] * STEPS_IN_A_ROW], untrained=2.0)


def test_a_spike_that_mends_itself_is_none() -> None:
    assert not has_exploded([*[1.0] * 20, *[500.0] * 9, 1.0], untrained=1.0)


def test_a_model_that_explodes_at_once_needs_no_calm_before() -> None:
    assert has_exploded([100.0] * STEPS_IN_A_ROW, untrained=2.0)
    assert not has_exploded([100.0] * (STEPS_IN_A_ROW - 1), untrained=2.0)


def test_a_task_that_is_learnt_well_leaves_room_up_to_the_untrained_loss() -> None:
    """A hundred times the running median, and no worse than before training."""
    assert not has_exploded([*[0.01] * WINDOW, *[1.0] * STEPS_IN_A_ROW], untrained=1.8)


def test_rows_that_are_harder_than_tune_are_judged_by_their_own_loss() -> None:
    assert not has_exploded([*[10.0] * WINDOW, *[12.0] * STEPS_IN_A_ROW], untrained=2.0)


@given(st.lists(st.floats(0.0, 3.0), max_size=WINDOW + STEPS_IN_A_ROW), st.floats(1.0, 3.0))
def test_no_loss_below_the_limit_ever_explodes(losses: list[float], untrained: float) -> None:
    assert not has_exploded([min(loss, FACTOR * untrained) for loss in losses], untrained=untrained)
