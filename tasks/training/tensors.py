"""How the rows of one training become tensors, and what those of the steps it took held."""

from dataclasses import dataclass
from typing import Any

from data_contracts.records.evidence import SeenTokens
from data_contracts.records.settings import TrainingSettings
from tasks.training.collation import Collate, pack, padding_collator
from tasks.training.loading import Head
from tasks.training.methods.kinds import Model
from tasks.training.mixture import Mixture
from tasks.training.packing import Layout, choose_layout, padding_share


@dataclass(frozen=True)
class Tensors:
    """What turns rows into batches."""

    collate: Collate
    collate_evaluation: Collate
    layout: Layout
    mixture: Mixture

    def seen(self, *, steps: int, effective_batch_size: int, micro_batch_size: int) -> SeenTokens:
        """What the tensors of so many steps held, with so many rows side by side at the end."""
        rows = steps * effective_batch_size
        lengths = self.mixture.lengths[:rows]
        share = 0.0 if self.layout.packed or not lengths else padding_share(lengths, micro_batch_size)
        return SeenTokens(
            tokens=sum(lengths),
            padding=round(sum(lengths) * share / (1.0 - share)),
            supervised=sum(self.mixture.supervised[:rows]),
            supervised_a_pass=self.mixture.supervised_a_pass,
            replayed_rows=steps * self.mixture.replayed_a_step,
            packed=self.layout.packed,
            layout=self.layout.reason,
        )


def tensors_for(
    model: Model,
    head: Head,
    tokenizer: Any,
    training: TrainingSettings,
    mixture: Mixture,
    *,
    micro_batch_size: int,
) -> Tensors:
    """The tensors that the rows of ``mixture`` become under ``training.packing``.

    Args:
        micro_batch_size: rows in the memory of one process at once.

    Raises:
        InputError: see ``choose_layout``.
    """
    layout = choose_layout(
        model, head, training.packing, lengths=mixture.lengths, micro_batch_size=micro_batch_size
    )
    padded = padding_collator(head, tokenizer)
    return Tensors(
        collate=pack if layout.packed else padded,
        collate_evaluation=padded,
        layout=layout,
        mixture=mixture,
    )
