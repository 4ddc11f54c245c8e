"""When training has left the rails although its loss is still a number.

A single high loss says little: one hard batch gives it, and sound trainings have spikes in spite of gradient
clipping (Chowdhery et al., PaLM, 2022, section 5.1). A model that does several times worse than before it was
trained, step after step, is another matter: what it knew is gone. The untrained loss matters because the
running median alone approaches zero where a task is learnt well, and one wrong label would then be a hundred
times of it.
"""

from collections.abc import Sequence
from statistics import median

WINDOW = 100
"""Steps that the running median is taken over."""
FACTOR = 3.0
"""How many times the larger of untrained loss and running median counts as exploded."""
STEPS_IN_A_ROW = 10
"""So many exploded steps, one after the other, end the training. With one row a step, of which one in ten is
that hard, chance alone does so once in ten thousand million steps."""


def has_exploded(losses: Sequence[float], *, untrained: float) -> bool:
    """Whether the last ``STEPS_IN_A_ROW`` of the steps' ``losses`` all lie beyond the limit.

    Args:
        losses: of the steps so far in nats, the last at the end; more than ``WINDOW`` and
            ``STEPS_IN_A_ROW`` are not looked at.
        untrained: the loss on ``tune`` before the first step, in nats.
    """
    before, last = losses[-WINDOW - STEPS_IN_A_ROW : -STEPS_IN_A_ROW], losses[-STEPS_IN_A_ROW:]
    if len(last) < STEPS_IN_A_ROW:
        return False
    usual = max(untrained, median(before) if before else 0.0)
    return min(last) > FACTOR * usual
