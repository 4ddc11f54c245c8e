"""The dossier of a signed run that went all the way, without its texts: what is proven of it still is."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from securesystemslib.signer import CryptoSigner

from data_contracts.records.base import canonical_json, digest_file
from data_contracts.records.verification import Check
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import open_ledger
from tasks.evidence.redacting import redact_dossier
from tasks.evidence.redaction import REDACTION, still_holding
from tests.evidence.conftest import Recorded
from tests.evidence.forging import Forger, copy_of
from tests.evidence.test_tampering import PILOT, SCORED, stranger, verified
from tests.flows.test_redact import AUTHOR

pytestmark = pytest.mark.slow

__all__ = ["stranger"]


@pytest.fixture
def redacted(recorded: Recorded, stranger: CryptoSigner, tmp_path: Path) -> Forger:
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, stranger)
    assert redact_dossier(Dossier(forger.folder), AUTHOR) is not None
    return forger


def test_signatures_labels_slices_and_every_gate_still_verify(recorded: Recorded, redacted: Forger) -> None:
    assert still_holding(Dossier(redacted.folder)) == ()
    found = verified(redacted.folder, redacted.ledger, recorded.keyring, recorded.checkpoint)
    assert found.faults == () and found.signed
    gate = pq.read_table(redacted.folder / "snapshot" / "gate.parquet")
    assert gate.column_names == ["row_id", "label", "row_commitment"]
    scores = pq.read_table(redacted.folder / SCORED)
    assert {"answer", "reference"} <= set(scores.column_names)
    assert scores["reference"].equals(gate["label"])


def test_labels_that_were_changed_afterwards_are_found(recorded: Recorded, redacted: Forger) -> None:
    def relabel(columns: dict[str, list[Any]]) -> None:
        columns["reference"] = list(columns["answer"])

    redacted.edit_table(SCORED, relabel)
    found = verify_dossier(redacted.folder, keyring=recorded.keyring)
    told = {(fault.check, fault.where) for fault in found.faults}
    assert {(Check.FILES, SCORED), (Check.SCORES, SCORED)} <= told


def test_a_redaction_is_no_way_for_an_insider_to_change_scores(
    recorded: Recorded, stranger: CryptoSigner, tmp_path: Path
) -> None:
    """Other scores in the signed manifest, evidence of the old ones, and a record that says "redacted"."""
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, stranger)

    def better(columns: dict[str, list[Any]]) -> None:
        columns["cross_entropy"] = [value / 2 for value in columns["cross_entropy"]]

    forger.edit_table(SCORED, better)
    forger.complete(recorded.key)
    named = next(file for file in Dossier(forger.folder).manifest().files if file.path == SCORED)
    entry = named.model_dump(mode="json")
    document = {
        "run_id": forger.folder.name,
        "manifest": digest_file(forger.folder / "manifest.json"),
        "files": [{"before": entry, "after": entry}],
        "redacted_by": "nobody",
        "reason": "none",
        "redacted_at": "2026-01-02T00:00:00.000000Z",
    }
    forger.write(REDACTION, canonical_json(json.loads(json.dumps(document))))
    with open_ledger(str(forger.ledger), read_only=True) as book:
        found = verify_dossier(forger.folder, keyring=recorded.keyring, ledger=book)
    told = {fault.what for fault in found.faults if fault.where == SCORED}
    assert "it is not the file that its evidence names" in told, found.faults
    assert PILOT in SCORED
