"""How well a model goes on with whole texts: the losses of their windows, put together again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.records.evidence import MetricValue
from data_contracts.token_labels import IGNORED_LABEL


@dataclass(frozen=True)
class TextLosses:
    """One entry for each text."""

    row_ids: tuple[str, ...]
    """In the order of their first windows."""
    nats: NDArray[np.float64]
    """Negative log probability of all predicted tokens of a text together, (texts,)."""
    tokens: NDArray[np.int64]
    """How many those are, the end of sequence included, (texts,)."""
    utf8_bytes: NDArray[np.int64]
    """Their length as text, (texts,)."""

    @property
    def nats_per_token(self) -> NDArray[np.float64]:
        """Mean loss of each text, (texts,)."""
        return self.nats / self.tokens

    def corpus(self) -> tuple[MetricValue, ...]:
        """Figures of all texts together, in which a long text counts more than a short one.

        Perplexity is e to the mean loss over tokens. Bits per byte is Gao et al. (The Pile, 2020, section
        3.1), the cost of ending each text included.
        """
        mean, tokens, size = (
            float(self.nats.sum() / self.tokens.sum()),
            self.tokens.sum(),
            self.utf8_bytes.sum(),
        )
        bits = bits_per_byte(mean, tokens=int(tokens), utf8_bytes=max(1, int(size)))
        return (
            MetricValue(name="perplexity", value=math.exp(min(mean, 700.0)), per_example=False),
            MetricValue(name="bits_per_byte", value=bits, per_example=False),
        )


def text_losses(
    row_ids: Sequence[str],
    labels: Sequence[Sequence[int]],
    losses: NDArray[np.float64],
    tokenizer: Any,
) -> TextLosses:
    """The losses of texts, from the mean ``losses`` of their windows, (windows,), in nats a token."""
    position: dict[str, int] = {}
    of_text = np.array([position.setdefault(row_id, len(position)) for row_id in row_ids])
    tokens = np.array([sum(label != IGNORED_LABEL for label in window) for window in labels])
    sizes = np.array([_utf8_bytes(window, tokenizer) for window in labels])

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(of_text, weights=values, minlength=len(position)).astype(np.float64)

    return TextLosses(
        row_ids=tuple(position),
        nats=total(losses * tokens),
        tokens=total(tokens).astype(np.int64),
        utf8_bytes=total(sizes).astype(np.int64),
    )


def bits_per_byte(nats_per_token: float, *, tokens: int, utf8_bytes: int) -> float:
    """nats/token x tokens / bytes / ln 2: the same text costs as much however it is cut into tokens.

    The Pile (Gao et al., 2020), section 3.1.
    """
    return nats_per_token * tokens / utf8_bytes / math.log(2)


def _utf8_bytes(labels: Sequence[int], tokenizer: Any) -> int:
    predicted = [label for label in labels if label != IGNORED_LABEL]
    return len(str(tokenizer.decode(predicted, skip_special_tokens=True)).encode())
