"""A gate's answer: never a bool, always a record with its reasons."""

from enum import StrEnum

from data_contracts.records.base import Digest, Record
from data_contracts.records.policy import Remedy
from data_contracts.records.snapshot import Split


class Verdict(StrEnum):
    """What a rule or a gate concludes."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """Neither shown nor refuted by this much data."""


class Gate(StrEnum):
    """The gates, in the order they are met. Promotion comes after a run that accepted something."""

    CONTRACT = "contract"
    POWER = "power"
    NEED = "need"
    FIT = "fit"
    FAIRNESS = "fairness"
    QUALITY = "quality"
    ESCALATION = "escalation"
    JUSTIFICATION = "justification"
    PROMOTION = "promotion"


class Interval(Record):
    """A mean and its two one-sided bounds, each at level 1 - alpha, in the metric's own unit."""

    mean: float
    lower: float
    upper: float
    alpha: float
    """Probability with which each bound, taken alone, errs."""
    rows: int
    method: str
    """``clopper-pearson``, ``newcombe``, ``bootstrap-bca``, ``bootstrap-percentile`` or ``few-changes``; a
    bootstrap of whole clusters begins with ``clustered-``, bounds over several seeds with ``t-seeds+``."""
    seeds: int = 1
    """Training seeds whose spread the bounds cover; with one, that spread is unmeasured and not in them."""

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.lower:.4g}, {self.upper:.4g}]"


class RuleResult(Record):
    """One rule of a gate."""

    name: str
    observed: str
    """The value the rule looked at, with its interval where it has one."""
    interval: Interval | None
    threshold: str
    verdict: Verdict
    sentence: str
    """For a manager."""
    decides: bool = True
    """Whether the gate's verdict depends on it; the others are there to be cited."""


class Decision(Record):
    """What a gate concluded from which evidence under which policy."""

    gate: Gate
    verdict: Verdict
    rules: tuple[RuleResult, ...]
    sentence: str
    run_id: str
    policy: Digest
    evidence: tuple[Digest, ...]
    """Digests of the evidence records it was decided on, in the order given to the gate."""
    look: Split | None = None
    """The rows that were looked at, where it was decided on scores of rows that only gates touch."""
    remedy: Remedy | None = None
    """What an unfair pilot gets next; only the fairness gate sets it, and only where one is left."""
    registration: Digest | None = None
    """What had been registered before the first score it was decided on existed."""


class Outcome(StrEnum):
    """The one named end of a run."""

    DATA_REJECTED = "data_rejected"
    UNDERPOWERED = "underpowered"
    BASE_SUFFICES = "base_suffices"
    INFEASIBLE = "infeasible"
    PILOT_INVALID = "pilot_invalid"
    INCONCLUSIVE = "inconclusive"
    UNSAFE = "unsafe"
    PILOT_ACCEPTED = "pilot_accepted"
    AWAITING_APPROVAL = "awaiting_approval"
    ESCALATION_DENIED = "escalation_denied"
    FULL_ACCEPTED = "full_accepted"
    FULL_UNJUSTIFIED = "full_unjustified"

    @property
    def accepted(self) -> bool:
        """Whether the run ended with a model fit for promotion."""
        return self in {Outcome.PILOT_ACCEPTED, Outcome.FULL_ACCEPTED}


class RunReport(Record):
    """How a run ended: what the command line and ``show`` print."""

    run_id: str
    name: str
    outcome: Outcome
    sentence: str
    """What it means and what to do next."""
    decisions: tuple[Decision, ...]
    accepted_artifact: str | None
    """Folder inside the dossier that holds the accepted adapter or model."""
    seconds: float
    peak_memory_bytes: int
    dossier: str
    """Path of the dossier on the machine that ran it."""
