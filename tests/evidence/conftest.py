"""One real run that went all the way, signed, with a person's approval; its ledger, keys and a checkpoint."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from data_contracts.key_roles import KeyRole
from data_contracts.records.ledger import Checkpoint
from data_contracts.records.statements import Keyring
from flows.command_line import app
from tasks.evidence.ledger.book import open_ledger
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key, load_signer
from tests.flows.conftest import ESCALATES, REFERENCE, small_settings

SLICE = {"name": "people", "column": "label", "equals": "HUM", "margin": 0.5, "minimum_rows": 5}


@dataclass(frozen=True)
class Recorded:
    """What a run leaves, and what others keep."""

    dossier: Path
    waiting: Path
    """The dossier of the run before it, which ended waiting for the approval."""
    ledger: Path
    keyring: Keyring
    key: CryptoSigner
    checkpoint: Checkpoint
    """Of the whole ledger, as it was when both had ended."""


@pytest.fixture(scope="session")
def recorded(
    api: str, rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = small_settings(
        folder / "rows.jsonl",
        policy={
            **ESCALATES,
            "escalation": {"approval": "recorded"},
            "guardrails": {"slices": [SLICE]},
        },
        full=REFERENCE,
        output=str(folder / "runs"),
    )
    (folder / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    secret, public = create_key(
        folder / "keys", name="pipeline", role=KeyRole.PIPELINE, password=None, now=datetime.now(UTC)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORAFIRST_SIGNING_KEY_FILE", str(secret))
        waiting = _invoke("run", str(folder / "run.yaml"), "--json")
        assert waiting["outcome"] == "awaiting_approval"
        options = ("--name", "Ada", "--reason", "launch in May", "-o", str(folder / "runs"))
        assert CliRunner().invoke(app, ["approve", waiting["run_id"], *options]).exit_code == 0
        ended = _invoke("run", str(folder / "run.yaml"), "--json")
    assert ended["outcome"] == "full_unjustified"
    ledger = folder / "runs" / "ledger.sqlite"
    with open_ledger(str(ledger)) as book:
        checkpoint = book.checkpoint()
    yield Recorded(
        Path(ended["dossier"]),
        Path(waiting["dossier"]),
        ledger,
        read_keyring(public),
        load_signer(secret, None),
        checkpoint,
    )


def _invoke(*arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    found: dict[str, str] = json.loads(result.stdout)
    return found
