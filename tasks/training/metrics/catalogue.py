"""Every metric by its name in ``METRICS`` and ``REPORTED``, as the function that computes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.training.metrics import calibration, labels, losses, texts


class Inputs(StrEnum):
    """What a metric compares."""

    TEXTS = "texts"
    """Answers and references."""
    LABELS = "labels"
    """Numbers of the answered and of the right labels."""
    PROBABILITIES = "probabilities"
    """Log probabilities of all labels, and the numbers of the right ones."""
    LOSSES = "losses"
    """Nats a token of each row, and its number of tokens."""


@dataclass(frozen=True)
class PerExample:
    """A metric with a value for each row; a gate may decide on its mean."""

    inputs: Inputs
    scores: Callable[[Any, Any], NDArray[np.float64]]


@dataclass(frozen=True)
class OfCorpus:
    """A figure of all rows together, which is reported."""

    inputs: Inputs
    figure: Callable[[Any, Any], float]


PER_EXAMPLE: Mapping[str, PerExample] = {
    "accuracy": PerExample(Inputs.LABELS, labels.accuracy),
    "cross_entropy": PerExample(Inputs.PROBABILITIES, labels.cross_entropy),
    "brier_score": PerExample(Inputs.PROBABILITIES, labels.brier_score),
    "completion_loss": PerExample(Inputs.LOSSES, losses.completion_loss),
    "exact_match": PerExample(Inputs.TEXTS, texts.exact_match),
    "normalized_exact_match": PerExample(Inputs.TEXTS, texts.normalized_exact_match),
    "token_f1": PerExample(Inputs.TEXTS, texts.token_f1),
    "word_error_rate": PerExample(Inputs.TEXTS, texts.word_error_rate),
    "character_error_rate": PerExample(Inputs.TEXTS, texts.character_error_rate),
    "rouge_1": PerExample(Inputs.TEXTS, texts.rouge_1),
    "rouge_2": PerExample(Inputs.TEXTS, texts.rouge_2),
    "rouge_l": PerExample(Inputs.TEXTS, texts.rouge_l),
    "chrf": PerExample(Inputs.TEXTS, texts.chrf),
}

OF_CORPUS: Mapping[str, OfCorpus] = {
    "macro_f1": OfCorpus(Inputs.LABELS, labels.macro_f1),
    "micro_f1": OfCorpus(Inputs.LABELS, labels.micro_f1),
    "expected_calibration_error": OfCorpus(Inputs.PROBABILITIES, calibration.expected_calibration_error),
    "perplexity": OfCorpus(Inputs.LOSSES, losses.perplexity),
    "bleu": OfCorpus(Inputs.TEXTS, texts.bleu),
    "corpus_chrf": OfCorpus(Inputs.TEXTS, texts.corpus_chrf),
    "corpus_word_error_rate": OfCorpus(Inputs.TEXTS, texts.corpus_word_error_rate),
    "corpus_character_error_rate": OfCorpus(Inputs.TEXTS, texts.corpus_character_error_rate),
}


def scores_of(inputs: Inputs, predictions: Any, references: Any) -> dict[str, NDArray[np.float64]]:
    """Every metric per example that compares ``inputs``, (rows,) each."""
    return {
        name: metric.scores(predictions, references)
        for name, metric in PER_EXAMPLE.items()
        if metric.inputs is inputs
    }


def figures_of(inputs: Inputs, predictions: Any, references: Any) -> dict[str, float]:
    """Every figure of a corpus that compares ``inputs``."""
    return {
        name: metric.figure(predictions, references)
        for name, metric in OF_CORPUS.items()
        if metric.inputs is inputs
    }
