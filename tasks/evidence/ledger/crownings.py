"""Who is champion by the ledger: the last promotion or rollback among a model's runs."""

from collections.abc import Collection

from data_contracts.records.ledger import EntryKind, LedgerEntry
from tasks.evidence.ledger.book import Ledger

_CROWNING = (EntryKind.PROMOTION, EntryKind.ROLLBACK)


def last_crowning(ledger: Ledger, runs: Collection[str]) -> LedgerEntry | None:
    """The entry that made one of ``runs`` champion last; ``None`` where none ever was.

    Args:
        runs: of every version of the model.
    """
    entered = [each for each in ledger.entries() if each.kind in _CROWNING and each.run_id in runs]
    return entered[-1] if entered else None
