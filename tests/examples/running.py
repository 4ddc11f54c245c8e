"""An example as a newcomer runs it, through the command line, and what its dossier says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from data_contracts.records.verification import Check
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.ledger.book import open_ledger

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_example(name: str, output: Path) -> Path:
    """Prepares the data, runs the example, and returns its dossier."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment["PREFECT_HOME"] = str(output / "prefect")
    subprocess.run([sys.executable, EXAMPLES / name / "prepare.py"], check=True, env=environment)
    command = [sys.executable, "-m", "flows.command_line", "run", str(EXAMPLES / name / "lorafirst.yaml")]
    result = subprocess.run(
        [*command, "--output", str(output), "--json"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return Path(json.loads(result.stdout)["dossier"])


def read(dossier: Path, name: str) -> Any:
    return json.loads((dossier / name).read_bytes())


def rule(decision: Any, name: str) -> Any:
    return next(rule for rule in decision["rules"] if rule["name"] == name)


def check_dossier(dossier: Path) -> None:
    """Anybody can verify it, and nothing in it can run code when it is loaded."""
    with open_ledger(str(dossier.parent / "ledger.sqlite"), read_only=True) as ledger:
        verification = verify_dossier(dossier, ledger=ledger)
    assert verification.faults == ()
    assert all(check.looked_at for check in verification.checks if check.check is not Check.PERMIT)
    assert not [path for path in dossier.rglob("*") if path.suffix in {".bin", ".pt", ".pkl", ".pickle"}]
