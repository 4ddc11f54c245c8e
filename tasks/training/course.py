"""What a training carries from step to step besides its tensors; part of every checkpoint."""

from dataclasses import dataclass, field


@dataclass
class Course:
    """Plain values, so that it is JSON; floats keep every bit there."""

    micro_batch_size: int
    """Rows in memory at once; halved where memory ran out."""
    evaluation_batch_size: int
    """Rows at once when the loss on ``tune`` is taken; no gradients are kept then."""
    untrained_loss: float | None = None
    """On ``tune`` before the first step, in nats; ``None`` until it was taken."""
    rows_seen: int = 0
    supervised_tokens: int = 0
    step_losses: list[float] = field(default_factory=list)
    """Of the last steps, in nats; as many as it takes to see an explosion."""
    evaluation_due: bool = False
    """The loss on ``tune`` at this step was to be taken when the process was asked to end."""
    best_step: int | None = None
    """With early stopping: where the loss on ``tune`` was lowest so far, the untrained model left out."""
    best_loss: float | None = None
    points_without_improvement: int = 0
    stopped_early: bool = False
    resumed_from_steps: list[int] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Spent by the processes before this one, up to their last checkpoint."""
    cpu_seconds: float = 0.0
