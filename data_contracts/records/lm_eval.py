"""What a task of lm-eval gave, document by document."""

from data_contracts.records.base import Digest, Record


class LmEvalScores(Record):
    """One artifact's scores on one task, or on all tasks of a group."""

    artifact: Digest
    task: str
    """As the policy names it."""
    metric: str
    higher_is_better: bool
    row_ids: tuple[str, ...]
    """``NAME/NUMBER`` of each document, by the name of its task."""
    values: tuple[float, ...]
    """Of each document, in the metric's own unit."""
