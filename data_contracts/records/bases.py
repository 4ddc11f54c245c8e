"""What a gate was given: enough to decide it again from the dossier alone, by anybody.

Scores and measurements are named by the digests of their evidence, and lie in the dossier; what was
computed for the gate alone stands here whole.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from data_contracts.records.base import Digest, Record, UtcTime
from data_contracts.records.decision import Decision, Gate
from data_contracts.records.evidence import Environment
from data_contracts.records.forecast import Forecast
from data_contracts.records.permit import Permit
from data_contracts.records.pilots import Approval, PilotTrial, SweepPoint
from data_contracts.records.policy import PromotionTerms
from data_contracts.records.snapshot import Split


class ScoredBasis(Record):
    """One artifact's scores in the policy's metric, one scoring a seed."""

    name: str
    """As a reader would call it: ``the LoRA pilot``."""
    evidence: tuple[Digest, ...]
    """Of the scorings, in the order of the seeds."""


class ServingBasis(Record):
    """What serving takes, with the trained model and with the base alone."""

    trained: Digest
    base: Digest


class TaskBasis(Record):
    """Scores on one task of lm-eval."""

    rule: str
    """The name of the policy's rule."""
    trained: tuple[Digest, ...]
    """One a seed."""
    base: Digest


class RowMask(Record):
    """Which of some rows have a property, one bit a row in their order."""

    rows: int
    bits: str
    """In hexadecimal, the first row's bit highest, filled up with zeros at the end."""

    @classmethod
    def of(cls, flags: Sequence[bool]) -> "RowMask":
        digits = -(-len(flags) // 4)
        text = "".join("1" if flag else "0" for flag in flags).ljust(4 * digits, "0")
        return cls(rows=len(flags), bits=f"{int(text, 2):0{digits}x}" if flags else "")

    def flags(self) -> tuple[bool, ...]:
        text = f"{int(self.bits, 16):0{4 * len(self.bits)}b}" if self.bits else ""
        return tuple(bit == "1" for bit in text[: self.rows])


class SliceBasis(Record):
    """The rows of one slice; they stay when the texts that told them are removed."""

    rule: str
    """The name of the policy's rule."""
    members: RowMask
    """Of the rows that were looked at, in the order of their scores."""


class GuardrailBasis(Record):
    """What guardrails were judged on, beside the scores themselves."""

    predicts_text: bool
    slices: tuple[SliceBasis, ...] = ()
    well_formed: tuple[RowMask, ...] = ()
    """Answers of the form asked for, one mask a seed; empty where the policy does not ask."""
    base_losses: Digest | None = None
    """On the general text; ``None`` where the policy does not ask, or no text is predicted."""
    trained_losses: tuple[Digest, ...] = ()
    """One a seed."""
    serving: ServingBasis | None = None
    tasks: tuple[TaskBasis, ...] = ()


class EscalationFacts(Record):
    """What the escalation gate is told beside the decisions before it."""

    train_rows: int
    processor_hours_spent: float
    """By the run so far."""
    processor_hours_of_full: float
    """Forecast, of all its seeds."""
    peak_memory_bytes_of_full: int
    """Forecast."""
    available_memory_bytes: int
    """Of this machine."""
    requested_by: str
    """Who started the run, and cannot allow it."""
    approval: Approval | None
    """The answer that was found, whether it counts or not; ``None`` where none could be read."""
    signed_by: str | None = None
    """The key of the keyring that verifies it; ``None`` where it is not signed, or was not verified."""
    unusable: str | None = None
    """Why an answer that was given is none: whoever asked for it must know."""
    asked_at: UtcTime | None = None
    """When the question was first asked, by whichever run, as the ledger says; ``None`` where it was not."""
    waited_days: float = 0.0
    """From then until the answer was entered or, where there is none, until now."""


class ContractBasis(Record):
    gate: Literal[Gate.CONTRACT] = Gate.CONTRACT
    contract: Digest
    """Of the contract stage's evidence."""


class PowerBasis(Record):
    gate: Literal[Gate.POWER] = Gate.POWER
    registration: Digest


class NeedBasis(Record):
    gate: Literal[Gate.NEED] = Gate.NEED
    base: ScoredBasis
    distance: Digest | None
    registration: Digest


class FitBasis(Record):
    gate: Literal[Gate.FIT] = Gate.FIT
    forecasts: tuple[Forecast, ...]
    """Of the pilots that might have been trained, the one that was asked for first."""
    available_memory_bytes: int
    changes: tuple[str, ...]
    """Each alone would make that one fit."""
    base_model: Digest
    """Of the base's record, which the forecasts were made from."""


class FairnessBasis(Record):
    gate: Literal[Gate.FAIRNESS] = Gate.FAIRNESS
    trials: tuple[PilotTrial, ...]
    sweep: tuple[SweepPoint, ...]
    unquantised_fits: bool
    must_be_fair: bool


class QualityBasis(Record):
    gate: Literal[Gate.QUALITY] = Gate.QUALITY
    pilot: ScoredBasis
    baseline: ScoredBasis
    look: Split
    guardrails: GuardrailBasis
    registration: Digest


class EscalationBasis(Record):
    gate: Literal[Gate.ESCALATION] = Gate.ESCALATION
    quality: Digest
    """Of the quality gate's decision."""
    fairness: Digest
    """Of the fairness gate's decision."""
    facts: EscalationFacts
    distance: Digest | None


class JustificationBasis(Record):
    gate: Literal[Gate.JUSTIFICATION] = Gate.JUSTIFICATION
    full: ScoredBasis
    pilot: ScoredBasis
    baseline: ScoredBasis
    look: Split
    guardrails: GuardrailBasis
    registration: Digest


class PromotionBasis(Record):
    gate: Literal[Gate.PROMOTION] = Gate.PROMOTION
    challenger: ScoredBasis
    champion: ScoredBasis | None
    """``None`` where there has been none."""
    anchor: ScoredBasis
    slices: tuple[SliceBasis, ...]
    permit: Permit | None
    """Under which the challenger's base weights were updated; ``None`` where they stayed frozen."""
    rows_champion_learned: int | None
    """Gate rows among those that the champion was trained on, which flatter it; ``None`` without a champion,
    or where its rows were removed."""
    terms: PromotionTerms | None
    """The strictest margin and floor of the champion's and the anchor's own policies; ``None`` where there is
    neither."""
    registration: Digest


Basis = Annotated[
    ContractBasis
    | PowerBasis
    | NeedBasis
    | FitBasis
    | FairnessBasis
    | QualityBasis
    | EscalationBasis
    | JustificationBasis
    | PromotionBasis,
    Field(discriminator="gate"),
]


class Judgement(Record):
    """A decision with what it was decided on. Its digest is what the ledger holds."""

    decision: Decision
    basis: Basis


class JudgedInputs(Record):
    """What a decision's run was given, by digest."""

    request: Digest
    """Of the bytes of ``request.yaml``: the whole settings, the requester, versions and machine."""
    base_model: Digest
    """Of the base's files alone."""
    tokenizer: Digest
    """Of those of them that make its tokenizer."""
    contract: Digest | None
    """Of the contract stage's evidence."""
    snapshot: Digest | None
    """``None`` before there was one."""
    seeds: tuple[int, ...]
    """That were asked for: the settings' own, and as many more as the policy has full trained from."""


class DecisionRecord(Record):
    """The predicate of a decision's signed statement."""

    judgement: Judgement
    inputs: JudgedInputs
    alternatives: tuple[str, ...]
    """What was not done, and why, a sentence each."""
    requested_by: str
    answered_by: str | None
    """Who allowed or denied an escalation; ``None`` where nobody was asked or has answered."""
    environment: Environment
    """The code, versions and machine that decided."""
    made_at: UtcTime
    """By the clock of the machine that decided."""
