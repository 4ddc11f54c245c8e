"""Whether the rows of a micro-batch are laid end to end, and the check that they stay apart there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import Packing
from tasks.training.collation import pack
from tasks.training.loading import Head
from tasks.training.methods.kinds import Model

_LEAST_PADDING = 0.25
"""Share of padding from which packing is faster (``benchmarks/packing.json``): masked attention is computed
over the whole sequence. On one thread LoRA of SmolLM2 (135M) was as fast either way at a fifth."""
_MOST_TOKENS = 2048
"""Of a micro-batch that was measured; beyond, attention grows with the square."""

_CHECKED_TOKENS = (7, 12, 5)
"""Of the rows that the check lays end to end."""


@dataclass(frozen=True)
class Layout:
    """How rows become tensors."""

    packed: bool
    reason: str
    """In a few words."""


def choose_layout(
    model: Model, head: Head, asked: Packing, *, lengths: Sequence[int], micro_batch_size: int
) -> Layout:
    """The layout for rows of ``lengths`` tokens, in the order in which they are trained on.

    Where rows are to be packed, it is checked on this very model that they stay apart.

    Raises:
        InputError: packing is asked for, and the model does not keep rows apart.
    """
    if asked is Packing.OFF:
        return Layout(packed=False, reason="packing is off")
    if asked is Packing.AUTO and (against := _against(model, head, lengths, micro_batch_size)):
        return Layout(packed=False, reason=against)
    mixing = what_mixes_rows(model, head)
    if mixing is None:
        return Layout(packed=True, reason="rows laid end to end, shown to stay apart")
    if asked is Packing.ON:
        raise InputError.single(
            "training.packing",
            expected="a model whose attention stays within rows that are laid end to end",
            found=mixing,
            remedy="set training.packing to auto or off: rows of similar length then go side by side",
        )
    return Layout(packed=False, reason=mixing)


def padding_share(lengths: Sequence[int], micro_batch_size: int) -> float:
    """Share of the positions computed that hold no token, were the rows padded."""
    computed = sum(
        max(batch) * len(batch) for batch in _micro_batches(lengths, micro_batch_size)
    )  # tokens and padding
    return 1.0 - sum(lengths) / computed if computed else 0.0


def what_mixes_rows(model: Model, head: Head) -> str | None:
    """Why rows of this model cannot be laid end to end, in a few words; ``None`` where they can.

    Three short rows are given together and apart, and must get the same logits: within the square root of
    the precision, relative to the largest, which reordered sums stay far below and attention to another row
    does not.
    """
    import torch

    if head.task is Task.CLASSIFICATION:
        return "a classifier gives one answer a sequence"
    size = model.get_input_embeddings().num_embeddings
    rows = [
        {"input_ids": ids, "labels": ids}
        for ids in ([(31 * at + 7 * length) % size for at in range(length)] for length in _CHECKED_TOKENS)
    ]
    training = model.training
    model.eval()
    try:
        # Not inference mode: what a model keeps between calls must serve training too.
        with torch.no_grad():
            together = _logits(model, pack(rows)["input_ids"], pack(rows)["position_ids"])
            apart = torch.cat(
                [_logits(model, torch.tensor([row["input_ids"]]), None) for row in rows]
            )  # (tokens, vocabulary)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        return f"the model takes no restarting positions ({type(error).__name__})"
    finally:
        model.train(training)
    difference = float((together - apart).abs().max() / apart.abs().max())
    if difference <= torch.finfo(together.dtype).eps ** 0.5:
        return None
    return f"logits that differ by {difference:.1%} when rows are laid end to end"


def _logits(model: Model, ids: Any, positions: Any) -> Any:
    """(tokens, vocabulary)"""
    given = {} if positions is None else {"position_ids": positions.to(model.device)}
    # A cache would make the model take the positions for those of one long row.
    return model(input_ids=ids.to(model.device), use_cache=False, **given).logits[0]


def _against(model: Model, head: Head, lengths: Sequence[int], micro_batch_size: int) -> str | None:
    if head.task is Task.CLASSIFICATION:
        return "a classifier gives one answer a sequence"
    if "flash" in str(getattr(model.config, "_attn_implementation", "")):
        return None
    share, tokens = padding_share(lengths, micro_batch_size), _typical(lengths, micro_batch_size)
    if tokens > _MOST_TOKENS:
        return f"micro-batches of about {tokens:,.0f} tokens, over all of which attention would be computed"
    if share < _LEAST_PADDING:
        return f"{share:.1%} of padding is less than packing {tokens:,.0f} tokens costs"
    return None


def _typical(lengths: Sequence[int], micro_batch_size: int) -> float:
    """Tokens of the micro-batch that a token lies in, on average."""
    sizes = [sum(batch) for batch in _micro_batches(lengths, micro_batch_size)]
    return sum(size**2 for size in sizes) / max(1, sum(sizes))


def _micro_batches(lengths: Sequence[int], size: int) -> list[Sequence[int]]:
    return [lengths[start : start + size] for start in range(0, len(lengths), size)]
