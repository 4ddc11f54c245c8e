"""A process that redeems: ``python -m tests.tasks.evidence.redeeming_once LOCATION FOLDER SEED TRAINING``.

It waits for the file ``go`` in the folder, so that several of them begin at the same moment.
"""

import sys
import time
from pathlib import Path
from typing import Any

from data_contracts.errors import PermitRefusedError
from data_contracts.records.permit import Permit
from tasks.evidence.dossier import read_permit
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import open_ledger
from tasks.evidence.redeeming import Work, redeem


def work_of(permit: Permit, **changes: Any) -> Work:
    """What ``permit`` covers, with ``changes``."""
    names = ("run_id", "snapshot", "base_model", "policy", "rung")
    return Work(**{**{name: getattr(permit, name) for name in names}, **changes})


def main(location: str, folder: Path, seed: int, training: str) -> None:
    kept = KeptPermits(folder)
    envelope = kept.newest()
    assert envelope is not None
    work = work_of(read_permit(envelope), seed=seed, training=training)
    with open_ledger(location) as ledger:
        print("ready", flush=True)
        while not (folder / "go").exists():
            time.sleep(0.001)
        try:
            redeem(ledger, kept, envelope, work, None)
        except PermitRefusedError as refused:
            print("refused", refused)
        else:
            print("redeemed")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
