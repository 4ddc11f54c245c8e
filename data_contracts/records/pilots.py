"""What fairness is judged on: the pilots that were trained, the rates that were tried, all on ``tune``."""

from enum import StrEnum

from data_contracts.records.base import Cost, Digest, Record, UtcTime
from data_contracts.records.policy import Remedy
from data_contracts.records.settings import PilotSettings
from data_contracts.records.statements import KeyName


class SweepPoint(Record):
    """One learning rate, tried for some steps."""

    learning_rate: float
    steps: int
    tune_loss: float | None
    """Lowest on the curve, in nats; ``None`` where training diverged."""
    cost: Cost


class PilotTrial(Record):
    """One pilot in full length, as ``tune`` saw it."""

    number: int
    """Counted from 1 in the order of training."""
    settings: PilotSettings
    remedy: Remedy | None
    """What it was trained for; ``None`` for the first."""
    learning_rate: float
    steps: int
    full_steps: int
    """Steps that full fine-tuning would get."""
    stopped_early: bool = False
    """The loss on ``tune`` no longer improved, by a rule that full fine-tuning would stop by too."""
    tune_score: float
    """Mean of the policy's metric over ``tune``."""
    tune_loss: float
    """Of the weights that were kept, in nats."""
    lowest_train_loss: float
    """On the curve, in nats. Zero means that nothing was left, or that nothing was there, to learn."""
    supervised_tokens: int
    """In one pass over the rows: tokens (instruction) or labels (classification) the loss was taken on."""
    truncated_share: float
    """Share of the training rows that were cut to ``max_tokens``."""
    adapter_parameters: int
    information_bits: float
    """Supervised tokens times the bits a token takes under the base: what there is to be learnt at most."""
    evidence: tuple[Digest, ...]
    """Of training and of scoring on ``tune``; none where training diverged."""
    diverged: bool = False
    """The loss became NaN or infinite, or exploded: there is nothing to score, and the scores here are the
    worst there are."""

    @property
    def capacity_bits(self) -> float:
        """Two bits a parameter (Allen-Zhu and Li, Physics of Language Models 3.3, 2024)."""
        return 2.0 * self.adapter_parameters


class Reply(StrEnum):
    """What a person says to an escalation."""

    APPROVE = "approve"
    DENY = "deny"


class Approval(Record):
    """A person's answer to an escalation. The predicate of its statement."""

    approved: bool
    name: str
    """Whose answer it is; without a signature only what somebody typed."""
    reason: str
    subject: Digest
    """What was asked about: policy, evidence and rules of the quality decision, whichever run made it."""
    requested_by: str
    """Who started the run that waited for it."""
    answered_at: UtcTime
    """By the clock of the machine that it was given on."""
    key: KeyName | None
    """The name in the keyring of the key that signs it; ``None`` where it is recorded alone."""
