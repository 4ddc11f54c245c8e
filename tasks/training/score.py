"""Scores for each row of a split, from the artifact as it would be served.

Every function returns a ``ScoreTable``: one line per row, in the order of the rows given. Answers are
generated greedily, so the same artifact gives the same scores again.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.progress import Progress, silent
from data_contracts.records.calibration import Reliability
from data_contracts.records.evidence import MetricValue
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.baseline import probe_log_probabilities
from tasks.training.batching import PaddedBatch, batches_by_length, pad_batch
from tasks.training.continuation import text_losses
from tasks.training.generation import generate
from tasks.training.loading import Head, load_served
from tasks.training.methods.kinds import Model
from tasks.training.metrics.calibration import reliability
from tasks.training.metrics.catalogue import Inputs, figures_of, scores_of
from tasks.training.metrics.labels import right_label_probability, top_label_probability

RIGHT_LABEL = "right_label_probability"
TOP_LABEL = "top_label_probability"
"""Columns beside a classifier's scores: the probability of the right label, and of the one it answered."""


@dataclass(frozen=True)
class ScoreTable:
    """Scores per row, and what the model answered."""

    row_ids: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    """Per metric, (rows,)."""
    answers: tuple[str, ...]
    """The predicted label, or the generated text."""
    references: tuple[str, ...]
    corpus: tuple[MetricValue, ...]
    """Figures of the whole split that no gate may use."""
    details: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """What is kept of each row beside its scores, (rows,): a classifier's probabilities."""
    calibration: Reliability | None = None
    """Of a classifier."""

    def summary(self) -> tuple[MetricValue, ...]:
        means = tuple(
            MetricValue(name=name, value=float(values.mean()), per_example=True)
            for name, values in self.scores.items()
        )
        return means + self.corpus


def score(
    *,
    base: Path,
    artifact: Path | None,
    rung: Rung,
    head: Head,
    rows: Any,
    tokenizer: Any,
    generation: GenerationSettings,
    progress: Progress = silent,
) -> ScoreTable:
    """Loads the artifact and scores ``rows``, which are encoded rows of one split.

    ``artifact`` is ``None`` only for the baseline of a model that generates text, which is the base itself.
    """
    if head.task is Task.CLASSIFICATION:
        assert artifact is not None
        if rung == Rung.BASELINE:
            log_probabilities = probe_log_probabilities(
                base=base, artifact=artifact, rows=rows, labels=len(head.labels), progress=progress
            )
        else:
            model = load_served(base, artifact, head, rung)
            log_probabilities = label_log_probabilities(model, rows, tokenizer, rung, progress)
        return _classification_table(log_probabilities, rows, head)
    model = load_served(base, artifact, head, rung)
    if head.task is Task.COMPLETION:
        return _completion_table(model, rows, tokenizer, rung, progress)
    return _instruction_table(model, rows, tokenizer, generation, rung, progress)


def label_log_probabilities(
    model: Model, rows: Any, tokenizer: Any, rung: Rung, progress: Progress
) -> NDArray[np.float64]:
    """(rows, labels)"""
    import torch

    token_ids = rows["input_ids"]
    results: NDArray[np.float64] | None = None
    done = 0
    with torch.inference_mode():
        for batch in batches_by_length([len(ids) for ids in token_ids]):
            padded = pad_batch([token_ids[index] for index in batch], pad=tokenizer.pad_token_id or 0).to(
                model.device
            )
            logits = model(input_ids=padded.ids, attention_mask=padded.attention).logits  # (batch, labels)
            values = torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
            if results is None:
                results = np.empty((len(token_ids), values.shape[1]))
            results[batch] = values
            done += len(batch)
            progress(done, len(token_ids), f"score {rung}")
    assert results is not None
    return results


def _classification_table(log_probabilities: NDArray[np.float64], rows: Any, head: Head) -> ScoreTable:
    truth = np.asarray(rows["labels"])
    predicted = log_probabilities.argmax(axis=1)
    confidence = top_label_probability(log_probabilities)
    scores = scores_of(Inputs.LABELS, predicted, truth)
    calibration = reliability(confidence, scores["accuracy"])
    figures = {
        **figures_of(Inputs.LABELS, predicted, truth),
        **figures_of(Inputs.PROBABILITIES, log_probabilities, truth),
    }
    return ScoreTable(
        row_ids=tuple(rows["row_id"]),
        scores={**scores, **scores_of(Inputs.PROBABILITIES, log_probabilities, truth)},
        answers=tuple(head.labels[index] for index in predicted),
        references=tuple(head.labels[index] for index in truth),
        corpus=_corpus(figures),
        details={
            RIGHT_LABEL: right_label_probability(log_probabilities, truth),
            TOP_LABEL: confidence,
        },
        calibration=calibration,
    )


def _instruction_table(
    model: Model,
    rows: Any,
    tokenizer: Any,
    generation: GenerationSettings,
    rung: Rung,
    progress: Progress,
) -> ScoreTable:
    losses = completion_losses(model, rows, tokenizer, progress=progress, what=f"loss of {rung}")
    answers = generate(
        model,
        rows["prompt_ids"],
        tokenizer,
        generation,
        end=answer_end(rows),
        progress=progress,
        what=f"answers of {rung}",
    )
    references = tuple(rows["reference"])
    tokens = predicted_tokens(rows["labels"])
    figures = {
        **figures_of(Inputs.LOSSES, losses, tokens),
        **figures_of(Inputs.TEXTS, answers, references),
    }
    return ScoreTable(
        row_ids=tuple(rows["row_id"]),
        scores={
            **scores_of(Inputs.LOSSES, losses, tokens),
            **scores_of(Inputs.TEXTS, answers, references),
        },
        answers=answers,
        references=references,
        corpus=_corpus(figures),
    )


def _completion_table(model: Model, rows: Any, tokenizer: Any, rung: Rung, progress: Progress) -> ScoreTable:
    """One line a text, whose windows are ``rows``; nothing is generated, and there is no reference."""
    losses = completion_losses(model, rows, tokenizer, progress=progress, what=f"loss of {rung}")
    texts = text_losses(rows["row_id"], rows["labels"], losses, tokenizer)
    nothing = ("",) * len(texts.row_ids)
    return ScoreTable(
        row_ids=texts.row_ids,
        scores={"completion_loss": texts.nats_per_token},
        answers=nothing,
        references=nothing,
        corpus=texts.corpus(),
    )


def _corpus(figures: Mapping[str, float]) -> tuple[MetricValue, ...]:
    return tuple(MetricValue(name=name, value=value, per_example=False) for name, value in figures.items())


def predicted_tokens(labels: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """How many tokens of each row the loss is taken on, (rows,); a first token is never predicted."""
    return np.array([sum(label != IGNORED_LABEL for label in row[1:]) for row in labels], dtype=np.int64)


def answer_end(rows: Any) -> str | None:
    """What ends an answer beside the end of sequence: the column ``answer_end``, alike in every row."""
    return str(rows[0]["answer_end"]) if "answer_end" in rows.column_names else None


def _logits_from(model: Model, padded: PaddedBatch, supervised: Any) -> Any:
    """Logits that predict ``supervised`` targets, (batch, kept, vocabulary): of the last ``kept`` of the
    targets, from the first on that is supervised in any row where the model can leave the others out.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    options = {}
    if "logits_to_keep" in inspect.signature(inner.forward).parameters and supervised.any():
        first = int(supervised.any(0).nonzero()[0])
        # One more than the targets, because the last logits predict nothing.
        options["logits_to_keep"] = supervised.shape[1] - first + 1
    return model(input_ids=padded.ids, attention_mask=padded.attention, **options).logits[:, :-1]


def completion_losses(
    model: Model, rows: Any, tokenizer: Any, *, progress: Progress = silent, what: str = "loss"
) -> NDArray[np.float64]:
    """Mean negative log probability of each row's supervised tokens, (rows,), in nats a token.

    ``rows`` has ``input_ids`` and, a label per token, ``labels``. NaN where a row has none supervised.
    """
    import torch

    token_ids, labels = rows["input_ids"], rows["labels"]
    losses = np.empty(len(token_ids))
    done = 0
    with torch.inference_mode():
        for batch in batches_by_length([len(ids) for ids in token_ids]):
            padded = pad_batch([token_ids[index] for index in batch], pad=tokenizer.pad_token_id or 0).to(
                model.device
            )
            targets = (
                pad_batch([labels[index] for index in batch], pad=IGNORED_LABEL).ids[:, 1:].to(model.device)
            )
            supervised = targets != IGNORED_LABEL  # (batch, tokens - 1)
            logits = _logits_from(model, padded, supervised)  # (batch, kept, vocabulary)
            kept = slice(targets.shape[1] - logits.shape[1], None)
            rows_of = supervised[:, kept].nonzero()[:, 0]  # (supervised tokens,)
            # Prompts are most of the tokens, and a softmax over the vocabulary is most of the work.
            each = torch.nn.functional.cross_entropy(
                logits[supervised[:, kept]].float(), targets[supervised], reduction="none"
            )
            sums = torch.zeros(len(batch), dtype=torch.float64, device=each.device)
            sums.index_add_(0, rows_of, each.double())
            losses[batch] = (sums / supervised.sum(1)).cpu().numpy()
            done += len(batch)
            progress(done, len(token_ids), what)
    return losses
