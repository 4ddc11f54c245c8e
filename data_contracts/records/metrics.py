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
    """As settings, decisions and score files call it."""
    tasks: tuple[Task, ...]
    """Whose artifacts it can score."""
    higher_is_better: bool
    """Whether more of it is better."""
    minimum: float
    """No example scores less."""
    maximum: float | None
    """``None`` where the metric has no upper end."""
    binary: bool
    """Each example scores exactly 0 or 1."""
    sentence: str
    """What one unit of it means."""

    def gain(self, value: float) -> float:
        """``value`` turned so that more is better, whichever way the metric points."""
        return value if self.higher_is_better else -value

    def within_range(self, value: float) -> bool:
        return value >= self.minimum and (self.maximum is None or value <= self.maximum)

    @property
    def range_text(self) -> str:
        upper = "any size" if self.maximum is None else f"{self.maximum:g}"
        return f"{self.minimum:g} to {upper}"


TEXTS = (Task.INSTRUCTION,)
"""Tasks whose answers are generated texts."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="accuracy",
            tasks=(Task.CLASSIFICATION,),
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=True,
            sentence="share of rows whose most probable label is the right one",
        ),
        Metric(
            name="cross_entropy",
            tasks=(Task.CLASSIFICATION,),
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence="negative log probability of the right label, in nats",
        ),
        Metric(
            name="brier_score",
            tasks=(Task.CLASSIFICATION,),
            higher_is_better=False,
            minimum=0.0,
            maximum=2.0,
            binary=False,
            sentence=(
                "squared distance between the labels' probabilities and the truth, summed over the labels "
                "(Brier, 1950)"
            ),
        ),
        Metric(
            name="completion_loss",
            tasks=(Task.INSTRUCTION, Task.COMPLETION),
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence=(
                "mean negative log probability of the answer's tokens, or of all tokens of a text to go on "
                "with, in nats a token"
            ),
        ),
        Metric(
            name="exact_match",
            tasks=TEXTS,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=True,
            sentence="share of rows answered word for word, white space aside",
        ),
        Metric(
            name="normalized_exact_match",
            tasks=TEXTS,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=True,
            sentence=(
                "share of rows answered word for word, case, punctuation and the articles a, an, the aside "
                "(SQuAD, 2016)"
            ),
        ),
        Metric(
            name="token_f1",
            tasks=TEXTS,
            higher_is_better=True,
            minimum=0.0,
            maximum=1.0,
            binary=False,
            sentence="F1 of the words that answer and reference share, in SQuAD's normal form (SQuAD, 2016)",
        ),
        Metric(
            name="word_error_rate",
            tasks=TEXTS,
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
            name="character_error_rate",
            tasks=TEXTS,
            higher_is_better=False,
            minimum=0.0,
            maximum=None,
            binary=False,
            sentence=(
                "characters to insert, delete or replace in the answer, divided by the characters of the "
                "reference, outer white space aside"
            ),
        ),
        *(
            Metric(
                name=name,
                tasks=TEXTS,
                higher_is_better=True,
                minimum=0.0,
                maximum=1.0,
                binary=False,
                sentence=sentence,
            )
            for name, sentence in (
                ("rouge_1", "F measure of the words in common (Lin, 2004)"),
                ("rouge_2", "F measure of the pairs of neighbouring words in common (Lin, 2004)"),
                ("rouge_l", "F measure of the longest common subsequence of words (Lin, 2004)"),
            )
        ),
        Metric(
            name="chrf",
            tasks=TEXTS,
            higher_is_better=True,
            minimum=0.0,
            maximum=100.0,
            binary=False,
            sentence="chrF2 of each answer: F score over character n-grams, 0 to 100 (Popović, 2015)",
        ),
    )
}


class ReportedFigure(Record):
    """A figure of a whole split. Without a value per example no gate can use it."""

    name: str
    tasks: tuple[Task, ...]
    sentence: str
    """What it says."""


REPORTED: dict[str, ReportedFigure] = {
    name: ReportedFigure(name=name, tasks=tasks, sentence=sentence)
    for name, tasks, sentence in (
        ("macro_f1", (Task.CLASSIFICATION,), "mean over labels of each label's F1; 0 for one never right"),
        ("micro_f1", (Task.CLASSIFICATION,), "F1 over all rows; with one label a row it is the accuracy"),
        (
            "expected_calibration_error",
            (Task.CLASSIFICATION,),
            "how far the top label's probability lies from how often it is right, over 15 bins of equally "
            "many rows, weighted by rows",
        ),
        (
            "perplexity",
            (Task.INSTRUCTION, Task.COMPLETION),
            "e to the mean loss over all answer tokens, or over all tokens of the texts",
        ),
        ("bleu", TEXTS, "BLEU of all answers as one corpus, 0 to 100 (sacrebleu's defaults)"),
        ("corpus_chrf", TEXTS, "chrF2 of all answers as one corpus, 0 to 100"),
        ("corpus_word_error_rate", TEXTS, "words to change in all answers, over the words of all references"),
        (
            "corpus_character_error_rate",
            TEXTS,
            "characters to change in all answers, over the characters of all references",
        ),
    )
}


def metrics_for(task: Task) -> tuple[str, ...]:
    return tuple(name for name, metric in METRICS.items() if task in metric.tasks)
