"""The metrics a gate may decide on, and those that are only reported.

A gate needs a value for each example, so that rows can be paired and resampled. Corpus figures such as
macro F1 or BLEU have none; they are reported beside a decision and never make one.
"""

from enum import StrEnum

from data_contracts.records.base import Record


class Task(StrEnum):
    """What the model is to learn."""

    CLASSIFICATION = "classification"
    INSTRUCTION = "instruction"
    COMPLETION = "completion"
    """To go on with texts: continued pretraining."""


class Metric(Record):
    """A mean over examples, with a direction and a range of its own."""

    name: str
    task: Task
    higher_is_better: bool
    minimum: float
    maximum: float | None
    """``None`` where the metric has no upper end."""
    binary: bool
    """Each example scores exactly 0 or 1."""
    sentence: str
    """What one unit of it means."""
    further_tasks: tuple[Task, ...] = ()
    """What else it judges beside ``task``."""

    def judges(self, task: Task) -> bool:
        """Whether rows of ``task`` have this score."""
        return task is self.task or task in self.further_tasks

    def gain(self, value: float) -> float:
        """``value`` turned so that more is better, whichever way the metric points."""
        return value if self.higher_is_better else -value

    def within_range(self, value: float) -> bool:
        return value >= self.minimum and (self.maximum is None or value <= self.maximum)

    @property
    def range_text(self) -> str:
        upper = "any size" if self.maximum is None else f"{self.maximum:g}"
        return f"{self.minimum:g} to {upper}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="accuracy",
            task=Task.CLASSIFICATION,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=True,
            sentence="share of rows whose most probable label is the right one",
        ),
        Metric(
            name="cross_entropy",
            task=Task.CLASSIFICATION,
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence="negative log probability of the right label, in nats",
        ),
        Metric(
            name="completion_loss",
            task=Task.INSTRUCTION,
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence=(
                "mean negative log probability of the answer's tokens, or of all tokens of a text to go on "
                "with, in nats a token"
            ),
            further_tasks=(Task.COMPLETION,),
        ),
        Metric(
            name="exact_match",
            task=Task.INSTRUCTION,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=True,
            sentence="share of rows answered word for word, white space aside",
        ),
        Metric(
            name="word_error_rate",
            task=Task.INSTRUCTION,
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence=(
                "words to insert, delete or replace in the answer, divided by the words of the "
                "reference; above 1 where the answer is mostly wrong words"
            ),
        ),
        Metric(
            name="rouge_l",
            task=Task.INSTRUCTION,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=False,
            sentence="F measure of the longest common subsequence of words",
        ),
        Metric(
            name="chrf",
            task=Task.INSTRUCTION,
            higher_is_better=True,
            minimum=0.0,
            maximum=100.0,
            binary=False,
            sentence="chrF2 of each answer: F score over character n-grams, 0 to 100",
        ),
    )
}


def metrics_for(task: Task) -> tuple[str, ...]:
    return tuple(name for name, metric in METRICS.items() if metric.judges(task))
