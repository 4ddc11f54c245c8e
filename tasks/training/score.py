"""Scores for each row of a split, from the artifact as it would be served.

Every function returns a ``ScoreTable``: one line per row, in the order of the rows given. Answers are
generated greedily, so the same artifact gives the same scores again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.progress import Progress, silent
from data_contracts.records.evidence import MetricValue
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.baseline import probe_log_probabilities
from tasks.training.batching import batches_by_length, pad_batch
from tasks.training.continuation import text_losses
from tasks.training.generation import generate
from tasks.training.loading import Head, load_served
from tasks.training.methods.kinds import Model


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
            log_probabilities = _label_log_probabilities(model, rows, tokenizer, rung, progress)
        return _classification_table(log_probabilities, rows, head)
    model = load_served(base, artifact, head, rung)
    if head.task is Task.COMPLETION:
        return _completion_table(model, rows, tokenizer, rung, progress)
    return _instruction_table(model, rows, tokenizer, generation, rung, progress)


def _label_log_probabilities(
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
    from sklearn.metrics import f1_score

    truth = np.asarray(rows["labels"])
    predicted = log_probabilities.argmax(axis=1)
    macro_f1 = float(f1_score(truth, predicted, average="macro", zero_division=0.0))
    return ScoreTable(
        row_ids=tuple(rows["row_id"]),
        scores={
            "accuracy": (predicted == truth).astype(np.float64),
            "cross_entropy": -log_probabilities[np.arange(len(truth)), truth],
        },
        answers=tuple(head.labels[index] for index in predicted),
        references=tuple(head.labels[index] for index in truth),
        corpus=(MetricValue(name="macro_f1", value=macro_f1, per_example=False),),
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
    return ScoreTable(
        row_ids=tuple(rows["row_id"]),
        scores={"completion_loss": losses, **text_scores(answers, references)},
        answers=answers,
        references=references,
        corpus=(corpus_bleu(answers, references),),
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


def answer_end(rows: Any) -> str | None:
    """What ends an answer beside the end of sequence: the column ``answer_end``, alike in every row."""
    return str(rows[0]["answer_end"]) if "answer_end" in rows.column_names else None


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
            logits = model(
                input_ids=padded.ids, attention_mask=padded.attention
            ).logits  # (batch, tokens, vocabulary)
            each = torch.nn.functional.cross_entropy(
                logits[:, :-1].transpose(1, 2), targets, ignore_index=IGNORED_LABEL, reduction="none"
            )  # (batch, tokens - 1)
            supervised = (targets != IGNORED_LABEL).sum(1)
            losses[batch] = (each.double().sum(1) / supervised).cpu().numpy()
            done += len(batch)
            progress(done, len(token_ids), what)
    return losses


def text_scores(answers: Sequence[str], references: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Per-example scores of generated texts; each has its entry in ``METRICS``."""
    from rapidfuzz.distance import Levenshtein
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.chrf import CHRF

    rouge, chrf = RougeScorer(["rougeL"]), CHRF()
    pairs = list(zip(answers, references, strict=True))
    words = [(answer.split(), reference.split()) for answer, reference in pairs]
    columns: dict[str, list[float]] = {
        "exact_match": [float(answer == reference) for answer, reference in words],
        "word_error_rate": [
            Levenshtein.distance(answer, reference) / max(1, len(reference)) for answer, reference in words
        ],
        "rouge_l": [rouge.score(reference, answer)["rougeL"].fmeasure for answer, reference in pairs],
        "chrf": [chrf.sentence_score(answer, [reference]).score for answer, reference in pairs],
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}


def corpus_bleu(answers: Sequence[str], references: Sequence[str]) -> MetricValue:
    from sacrebleu.metrics.bleu import BLEU

    value = BLEU().corpus_score(list(answers), [list(references)]).score
    return MetricValue(name="bleu", value=float(value), per_example=False)
