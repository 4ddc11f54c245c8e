"""What will be decided, written down before the first score exists; and how often the rows were asked."""

from datetime import datetime

from data_contracts.records.base import Digest, Record, digest_json
from data_contracts.records.snapshot import Split


class RegisteredLook(Record):
    """One permitted look of a run."""

    split: Split
    rows: int
    alpha: float
    """Probability with which each bound of this look may err."""


class Registration(Record):
    """The question, fixed before the first gate score: nothing here can be chosen after seeing an answer."""

    run_id: str
    """The run that asked first; the same work started again keeps its registration."""
    policy: Digest
    snapshot: Digest
    base_model: Digest
    metric: str
    target: float
    margin: float
    minimum_uplift: float
    minimum_gain_of_full: float
    guardrails: tuple[str, ...]
    """One sentence each."""
    looks: tuple[RegisteredLook, ...]
    """In the order in which they may be taken."""
    hypothesis: str
    """What looks are counted by, beside the rows."""
    gate_rows: Digest
    """Of the sketch of the gate rows. The sketch itself is in the book of looks: rows' identities are digests
    of their texts, by which short ones could be guessed, and this record stays when texts are removed."""
    earlier_looks: int
    """Looks at these rows for this hypothesis by earlier runs."""
    alpha_spent: float
    """By those runs together."""
    policy_name: str
    """With what the settings changed in it."""
    registered_at: datetime


class RowSketch(Record):
    """A sample of a set of rows that tells how much two sets overlap, without naming all rows.

    The smallest row ids: ids are digests, so these are a uniform sample of the set (bottom-k sketch,
    Cohen and Kaplan, 2007). A row appended changes it little, a renamed file not at all.
    """

    rows: int
    smallest: tuple[str, ...]
    """Up to ``SKETCH_SIZE`` row ids, sorted."""

    def digest(self) -> str:
        """Of these two alone: it is drawn anew from the rows where a dossier is verified."""
        return digest_json({"rows": self.rows, "smallest": list(self.smallest)})


SKETCH_SIZE = 256


class Look(Record):
    """One look that was taken, appended before the scoring it reserves."""

    run_id: str
    hypothesis: str
    split: Split
    sketch: RowSketch
    inputs: Digest
    """Of everything the artifacts depend on: the same inputs give the same artifacts, and are no new look."""
    alpha_of_run: float
    """What all looks of the run may spend together."""
    registration: Digest
    taken_at: datetime
