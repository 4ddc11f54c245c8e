"""A process that appends: ``python -m benchmarks.ledger_writer LOCATION WRITER COUNT``.

Each entry that ``append`` returned is printed, so that whoever kills this process knows what was acted upon.
"""

import sys

from data_contracts.records.base import digest_json
from data_contracts.records.ledger import EntryKind
from tasks.evidence.ledger.book import open_ledger


def main(location: str, writer: str, count: int) -> None:
    with open_ledger(location) as ledger:
        for number in range(count):
            about = digest_json([writer, number])
            entry = ledger.append(EntryKind.DECISION, run_id=writer, about=about, actor="writer")
            print(entry.sequence, entry.entry_digest, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
