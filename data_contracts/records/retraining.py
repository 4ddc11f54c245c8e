"""What new data are beside those of the champion, and what came of them."""

from enum import StrEnum

from data_contracts.records.base import Digest, Record, UtcTime
from data_contracts.records.decision import Interval, RunReport
from data_contracts.records.drift import DriftAspect, DriftReport
from data_contracts.records.metrics import Metric
from data_contracts.records.registry import PromotionReport
from data_contracts.records.settings import Name


class DriftLimit(Record):
    """From when on one comparison counts; the contract's rule of that aspect says it, or the catalogue."""

    aspect: DriftAspect
    largest: float
    """In the unit of the aspect's statistic."""
    alpha: float
    """A difference must also be as improbable as this by chance."""


class Arrivals(Record):
    """Accepted rows beside those of the champion's snapshot, compared by their identities."""

    rows_before: int
    """Of all its splits."""
    rows_now: int
    rows_new: int
    """Now, and not before."""
    rows_gone: int
    """Before, and not now."""
    unknown_labels: dict[str, int]
    """New rows with a label that the champion does not know, by label."""
    drift: DriftReport | None
    """Of the new rows alone from the snapshot; ``None`` where there are none."""

    @property
    def new_share(self) -> float:
        """New rows by rows before."""
        return self.rows_new / max(1, self.rows_before)


class FreshScores(Record):
    """The champion on labelled rows that it has never learned from, and that no gate will judge by."""

    metric: Metric
    fresh: Interval
    promoted: Interval
    """On the gate rows of its promotion."""
    evidence: Digest
    """Of the scoring."""


class DataFindings(Record):
    """What was found before it was decided whether to train anew."""

    model: Name
    champion_version: int
    champion_run: str
    contract: Digest
    """Of the contract stage's evidence on the data as they are now."""
    broken_rules: tuple[str, ...]
    """Those that make the data unusable."""
    limits: tuple[DriftLimit, ...]
    arrivals: Arrivals | None
    """``None`` where the champion's rows were removed and nothing can be compared."""
    changed_settings: tuple[str, ...]
    """Sections of the settings that differ from those the champion was trained with."""
    other_work: tuple[str, ...]
    """In what a model of these data and settings would do other work than the champion, a phrase each: other
    labels or another metric. Another task is refused at once."""
    fresh: FreshScores | None
    not_scored: str
    """Why the champion was not scored on fresh rows; empty where it was."""
    at: UtcTime


class RetrainingPlan(Record):
    """Whether to train anew, and why."""

    train: bool
    reasons: tuple[str, ...]
    """A sentence each."""


class RetrainingOutcome(StrEnum):
    """How a retraining ends."""

    SKIPPED = "skipped"
    """Nothing that would give another model."""
    DATA_REJECTED = "data_rejected"
    NOT_ACCEPTED = "not_accepted"
    """The ladder was climbed and accepted no model."""
    AWAITING_APPROVAL = "awaiting_approval"
    """The run has asked a person; what it accepts after the answer is promoted by hand."""
    CHAMPION_KEPT = "champion_kept"
    PROMOTED = "promoted"


class RetrainingReport(Record):
    """How a retraining ended: what the command line prints."""

    model: Name
    outcome: RetrainingOutcome
    plan: RetrainingPlan
    findings: DataFindings | None
    """``None`` where there is no champion to compare with."""
    run: RunReport | None
    """``None`` where nothing was trained."""
    promotion: PromotionReport | None
    """``None`` where nothing was accepted."""

    @property
    def sentence(self) -> str:
        """The last thing that was decided."""
        if self.promotion is not None:
            return self.promotion.sentence
        if self.outcome is RetrainingOutcome.AWAITING_APPROVAL and self.run is not None:
            return (
                f"{self.run.sentence} Once the run has gone on after the answer, `lorafirst promote "
                f"{self.run.run_id}` offers what it accepted."
            )
        return self.run.sentence if self.run is not None else " ".join(self.plan.reasons)


class DriftOutcome(Record):
    """What looking for drift found."""

    model: Name
    signs: tuple[str, ...]
    """A sentence for each; empty where nothing drifted."""
    findings: DataFindings | None
    """``None`` where there is no champion to compare with."""
