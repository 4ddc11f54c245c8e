"""What ``lorafirst decisions`` wrote; its ``--json`` is this record."""

from data_contracts.records.base import Record


class UnreadableRun(Record):
    """A dossier whose decisions are not in the table."""

    run_id: str
    why: str


class DecisionTableReport(Record):
    """A table of the decisions of all runs in one folder."""

    path: str
    runs: int
    """Whose decisions it holds; one may have decided nothing yet."""
    decisions: int
    rows: int
    """One a rule."""
    unreadable: tuple[UnreadableRun, ...]
