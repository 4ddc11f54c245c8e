"""Batches of similar length, bounded by tokens: little padding, and memory that long rows cannot blow up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TOKENS_PER_BATCH = 2048
"""Padded tokens in one scoring batch. A vocabulary of 50,000 then takes 400 MB of float32 logits."""


def batches_by_length(
    lengths: Sequence[int], *, tokens: int = TOKENS_PER_BATCH, rows: int = 256
) -> Iterator[list[int]]:
    """Indices in batches, shortest first; each has at most ``tokens`` padded tokens and ``rows`` rows.

    A row longer than ``tokens`` makes a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if batch and ((len(batch) + 1) * lengths[index] > tokens or len(batch) == rows):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@dataclass(frozen=True)
class PaddedBatch:
    """Token ids and the mask that says which of them are real."""

    ids: "torch.Tensor"  # (batch, tokens)
    attention: "torch.Tensor"  # (batch, tokens)

    def to(self, device: "torch.device") -> "PaddedBatch":
        """The same batch where the model is."""
        return PaddedBatch(ids=self.ids.to(device), attention=self.attention.to(device))


def pad_batch(rows: Sequence[Sequence[int]], *, pad: int, left: bool = False) -> PaddedBatch:
    """``left`` puts the padding in front, as generation needs it."""
    import torch

    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), pad)
    attention = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(length - len(row), length) if left else slice(0, len(row))
        ids[index, place] = torch.tensor(row)
        attention[index, place] = 1
    return PaddedBatch(ids=ids, attention=attention)
