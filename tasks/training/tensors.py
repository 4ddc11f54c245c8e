"""How the rows of one training become tensors, and what those hold: known before the first step."""

from dataclasses import dataclass
from typing import Any

from data_contracts.records.evidence import SeenTokens
from data_contracts.records.settings import TrainingSettings
from tasks.training.collation import Collate, pack, padding_collator
from tasks.training.loading import Head
from tasks.training.methods.kinds import Model
from tasks.training.mixture import Mixture
from tasks.training.packing import choose_layout, padding_share


@dataclass(frozen=True)
class Tensors:
    """What turns rows into batches."""

    collate: Collate
    collate_evaluation: Collate
    seen: SeenTokens


def tensors_for(
    model: Model, head: Head, tokenizer: Any, training: TrainingSettings, mixture: Mixture
) -> Tensors:
    """The tensors that the rows of ``mixture`` become under ``training.packing``.

    Raises:
        InputError: see ``choose_layout``.
    """
    lengths, micro = mixture.lengths, training.rows_in_memory
    layout = choose_layout(model, head, training.packing, lengths=lengths, micro_batch_size=micro)
    share = 0.0 if layout.packed else padding_share(lengths, micro)
    tokens, padded = sum(lengths), padding_collator(head, tokenizer)
    return Tensors(
        collate=pack if layout.packed else padded,
        collate_evaluation=padded,
        seen=SeenTokens(
            tokens=tokens,
            padding=round(tokens * share / (1.0 - share)),
            supervised=mixture.supervised,
            replayed_rows=mixture.replayed_rows,
            packed=layout.packed,
            layout=layout.reason,
        ),
    )
