"""A permit through whole runs: killed between redemption and training, and reused by a later run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.records.ledger import EntryKind, LedgerEntry
from flows.command_line import app
from tasks.evidence.dossier import PERMIT, read_permit
from tasks.evidence.ledger.book import FILE, open_ledger
from tests.flows.conftest import ESCALATES, REFERENCE, WriteRun

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
    assert "holds no entry 'permit redeemed' of it" in told.output
    redemption.write_bytes(content)
    (folder / PERMIT).write_bytes((dossier / PERMIT).read_bytes())
    told = CliRunner().invoke(app, ["verify", str(folder)])
    assert told.exit_code != 0 and "its run_id is" in told.output
