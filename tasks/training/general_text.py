"""How well a model predicts plain text, and the plain text that is shipped to ask it with.

The general text is the yardstick twice over: training data is *far* from the base where it predicts the
data much worse than these sentences, and a trained model has *forgotten* where it predicts these sentences
worse than its base did. Both read the same losses from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.progress import Progress, silent
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.token_labels import IGNORED_LABEL
from tasks.training.loading import Head, load_served
from tasks.training.methods.kinds import Model
from tasks.training.score import completion_losses

GENERAL_TEXT = Path(__file__).resolve().parents[2] / "data_contracts" / "texts" / "general.txt"
"""English sentences on everyday matters, one a line, written for lorafirst."""


@dataclass(frozen=True)
class PredictedText:
    """The tokens of each row that a model is asked to predict, special tokens left out."""

    input_ids: tuple[list[int], ...]
    labels: tuple[list[int], ...]
    """Per token the id to predict, or -100."""
    tokens: NDArray[np.int64]
    """Predicted tokens a row, (rows,)."""
    words: NDArray[np.int64]
    """Words in them, between white space, (rows,)."""
    utf8_bytes: NDArray[np.int64]
    """Their length as text, (rows,)."""

    def losses(self, model: Model, tokenizer: Any, *, progress: Progress, what: str) -> NDArray[np.float64]:
        """Mean negative log probability, (rows,), in nats a token."""
        columns = {"input_ids": self.input_ids, "labels": self.labels}
        return completion_losses(model, columns, tokenizer, progress=progress, what=what)


def general_sentences() -> tuple[str, ...]:
    """The sentences of ``GENERAL_TEXT``; the first is line 1."""
    return tuple(GENERAL_TEXT.read_text(encoding="utf-8").splitlines())


def line_ids(texts: Sequence[str]) -> tuple[str, ...]:
    """What pairs the rows of two models' losses: ``line 1``, ``line 2`` and so on."""
    return tuple(f"line {number}" for number in range(1, len(texts) + 1))


def general_losses(
    *,
    base: Path,
    artifact: Path | None,
    rung: Rung,
    head: Head,
    tokenizer: Any,
    texts: Sequence[str],
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Each text's loss under the artifact as it would be served, (texts,), in nats a token.

    ``artifact`` is ``None`` for the bare base. The losses of two artifacts pair by position, whose names are
    ``line_ids``.

    Raises:
        InputError: the model classifies, so that it predicts no text, or a text has fewer than two tokens.
    """
    if head.task is Task.CLASSIFICATION:
        raise InputError.single(
            "forgetting of general text",
            expected="a task whose model predicts text",
            found=f"task {head.task.value}, whose model has a classifier's head only",
            remedy="leave this guardrail out for the task",
        )
    rows = plain_text(texts, tokenizer)
    short = np.flatnonzero(rows.tokens == 0)
    if short.size:
        raise InputError.single(
            f"general text, {line_ids(texts)[short[0]]}",
            expected="texts of at least two tokens each",
            found=f"{short.size} shorter",
            remedy="leave empty lines and single words out",
        )
    model = load_served(base, artifact, head, rung)
    return rows.losses(model, tokenizer, progress=progress, what=f"general text, {rung}")


def plain_text(texts: Sequence[str], tokenizer: Any) -> PredictedText:
    """Texts of which every token is predicted but the first, before which there is nothing to go by."""
    ids = tokenizer(list(texts), verbose=False)["input_ids"]
    return predicted_text(ids, ids, tokenizer)


def predicted_text(
    input_ids: Sequence[list[int]], labels: Sequence[list[int]], tokenizer: Any
) -> PredictedText:
    """``input_ids`` with loss on ``labels`` but their special tokens, which aren't text."""
    special = _special_ids(tokenizer)
    kept = [
        [IGNORED_LABEL, *(IGNORED_LABEL if token in special else token for token in row[1:])]
        for row in labels
    ]
    predicted = [[token for token in row if token != IGNORED_LABEL] for row in kept]
    texts = [str(tokenizer.decode(row)) for row in predicted]
    return PredictedText(
        input_ids=tuple(input_ids),
        labels=tuple(kept),
        tokens=np.array([len(row) for row in predicted]),
        words=np.array([len(text.split()) for text in texts]),
        utf8_bytes=np.array([len(text.encode()) for text in texts]),
    )


def _special_ids(tokenizer: Any) -> frozenset[int]:
    # An unknown word is a word. Some models use one token for it and for the end of the text.
    frame = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id}
    return frozenset(tokenizer.all_special_ids) - ({tokenizer.unk_token_id} - frame)
