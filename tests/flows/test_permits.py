"""Permits and answers through whole runs: killed on the way, taken up by a later run, signed and forged."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.key_roles import KeyRole
from data_contracts.records.decision import Decision
from data_contracts.records.ledger import EntryKind, LedgerEntry
from data_contracts.records.statements import Keyring
from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.approvals import read_approval, verify_approval, write_approval
from tasks.evidence.dossier import PERMIT, read_permit
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key, load_signer
from tests.flows.conftest import ESCALATES, REFERENCE, WriteRun
from tests.tasks.decisions.conftest import answer as made_answer
from tests.tasks.evidence.test_approvals import stated

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

Rows = list[dict[str, str]]

KILLED = """
import os, signal, sys
from pathlib import Path
from data_contracts.settings_file import load_settings
from flows.running import run_here
from tasks.stages import training
from tasks.training.rungs import FullRung

train = training.fit_on

def kill_before_full(compute, given, **options):
    if isinstance(given.rung, FullRung):
        os.kill(os.getpid(), signal.SIGKILL)
    return train(compute, given, **options)

training.fit_on = kill_before_full
run_here(load_settings(Path(sys.argv[1])), quiet=True)
"""


def run(config: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def entries(output: Path, kind: EntryKind) -> list[LedgerEntry]:
    with open_ledger(str(output / FILE), read_only=True) as ledger:
        return [entry for entry in ledger.entries() if entry.kind is kind]


def test_killed_between_redemption_and_training_it_goes_on_under_the_same_permit(
    write_run: WriteRun, rows: Rows, tmp_path: Path
) -> None:
    config, output = write_run(rows, policy=ESCALATES, full=REFERENCE), tmp_path / "runs"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(config)], env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    (issued,), (redeemed,) = (
        entries(output, kind) for kind in (EntryKind.PERMIT_ISSUED, EntryKind.PERMIT_REDEEMED)
    )
    report = run(config)
    dossier = Path(report["dossier"])
    assert report["run_id"] == issued.run_id and "full" in report["outcome"]
    assert entries(output, EntryKind.PERMIT_ISSUED) == [issued]
    assert entries(output, EntryKind.PERMIT_REDEEMED) == [redeemed]
    permit = read_permit((dossier / PERMIT).read_bytes())
    assert permit.digest() == issued.about and permit.seeds == (17,)
    assert read_permit((dossier / "full" / PERMIT).read_bytes()) == permit
    verified = CliRunner().invoke(app, ["verify", str(dossier)])
    assert verified.exit_code == 0, verified.output

    # A later run has a permit of its own, redeems it before it takes what is stored, and says whose weights
    # those are.
    later = run(config)
    assert later["run_id"] != report["run_id"] and later["outcome"] == report["outcome"]
    assert [len(entries(output, kind)) for kind in (EntryKind.PERMIT_ISSUED, EntryKind.PERMIT_REDEEMED)] == [
        2,
        2,
    ]
    folder = Path(later["dossier"])
    assert read_permit((folder / PERMIT).read_bytes()) != permit
    assert read_permit((folder / "full" / PERMIT).read_bytes()) == permit
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 0
    explained = CliRunner().invoke(app, ["explain", str(folder), "--markdown"]).output
    assert "An unsigned permit of the escalation gate covers full" in explained
    assert "It was redeemed for seed 17." in explained

    # What is edited afterwards is found.
    (redemption,) = (folder / "redemptions").iterdir()
    content = redemption.read_bytes()
    redemption.write_bytes(content.replace(b'"seed":17', b'"seed":18'))
    told = CliRunner().invoke(app, ["verify", str(folder)])
    assert told.exit_code != 0 and "its seed is 18, and should be 17" in told.output
    assert "does not hold that it was redeemed" in told.output
    redemption.write_bytes(content)
    (folder / PERMIT).write_bytes((dossier / PERMIT).read_bytes())
    told = CliRunner().invoke(app, ["verify", str(folder)])
    assert told.exit_code != 0 and "its run_id is" in told.output


def test_signed_from_the_first_decision_to_the_answer(
    write_run: WriteRun, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {**ESCALATES, "escalation": {"approval": "signed"}, "record": {"signatures": "required"}}
    config, output = write_run(rows, policy=policy, full=REFERENCE), tmp_path / "runs"
    # Nothing is read: the data is not there, and nobody has noticed yet.
    (tmp_path / "rows.jsonl").rename(tmp_path / "elsewhere.jsonl")
    refused = CliRunner().invoke(app, ["run", str(config)])
    assert refused.exit_code == EXIT_INPUT
    assert "lorafirst keys new" in refused.output and "rows.jsonl" not in refused.output
    assert not list(output.glob("*"))
    (tmp_path / "elsewhere.jsonl").rename(tmp_path / "rows.jsonl")

    keys = {
        name: create_key(tmp_path / "keys", name=name, role=role, password=None, now=datetime.now(UTC))
        for name, role in (("pipeline", KeyRole.PIPELINE), ("ada", KeyRole.APPROVER))
    }
    entries_of = [read_keyring(public).keys[0] for _, public in keys.values()]
    keyring = tmp_path / "keyring.yaml"
    keyring.write_text(yaml.safe_dump(Keyring(keys=tuple(entries_of)).model_dump(mode="json")))
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", str(keys["pipeline"][0]))
    monkeypatch.setenv("LORAFIRST_KEYRING", str(keyring))
    waiting = run(config)
    assert waiting["outcome"] == "awaiting_approval"

    answer = ["approve", waiting["run_id"], "-o", str(output), "--reason", "launch in May"]
    unsigned = CliRunner().invoke(app, [*answer, "--name", "Ada"])
    assert unsigned.exit_code == EXIT_INPUT and "asks for signed answers" in unsigned.output
    # Somebody who writes the ledger and the file himself is no approver.
    forge_answer(output, waiting, keys["pipeline"][0])
    forged = run(config)
    assert forged["outcome"] == "awaiting_approval"
    assert "has the role pipeline, and approver is needed" in approval_of(forged)["sentence"]
    assert not (Path(forged["dossier"]) / "approval.json").exists()

    assert CliRunner().invoke(app, [*answer, "--key", str(keys["ada"][0])]).exit_code == 0
    allowed = run(config)
    dossier = Path(allowed["dossier"])
    assert allowed["outcome"].startswith("full_")
    assert approval_of(allowed)["sentence"] == "ada allowed it (signed by ada): launch in May"
    kept = read_approval((dossier / "approval.json").read_bytes())
    verify_approval(kept, (dossier / "approval.json").read_bytes(), read_keyring(keyring), datetime.now(UTC))
    verified = CliRunner().invoke(app, ["verify", str(dossier), "--keyring", str(keyring)])
    assert verified.exit_code == 0, verified.output
    explained = CliRunner().invoke(app, ["explain", str(dossier), "--markdown"]).output
    assert "A signed permit of the escalation gate" in explained and "signed by ada" in explained
    # Another answer in its place is found, whoever signed it.
    (dossier / "approval.json").write_bytes(stated(kept.model_copy(update={"reason": "none"}), None))
    told = CliRunner().invoke(app, ["verify", str(dossier), "--keyring", str(keyring)]).output
    assert "it is not the answer that decisions/08-escalation.json rests on" in told
    assert "it has no signature" in told


def approval_of(report: dict[str, Any]) -> dict[str, Any]:
    (decision,) = (each for each in report["decisions"] if each["gate"] == "escalation")
    found: dict[str, Any] = next(rule for rule in decision["rules"] if rule["name"] == "approval")
    return found


def forge_answer(output: Path, waiting: dict[str, Any], key: Path) -> None:
    quality = next(
        Decision.model_validate(each) for each in waiting["decisions"] if each["gate"] == "quality"
    )
    forged = made_answer(subject=subject_of(quality), requested_by="somebody", key="pipeline")
    with open_ledger(str(output / FILE)) as ledger:
        ledger.append(EntryKind.APPROVAL, run_id=waiting["run_id"], about=forged.digest(), actor=forged.name)
    write_approval(output, forged, stated(forged, load_signer(key, None)))
