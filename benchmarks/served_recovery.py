"""Runs at a server of `lorafirst up`, with one process after the other killed under them.

    python -m benchmarks.served_recovery                    # SQLite, PostgreSQL; writes served_recovery.json
    python -m benchmarks.served_recovery --database sqlite  # that part of the result alone
    python -m benchmarks.served_recovery --kills 2          # on SQLite; writes nothing

Each run is that of `benchmarks.recovery`, to full fine-tuning, and started once, through the deployment
`finetune`. What is killed with ``kill -9`` is the process of the run, its worker, both together, the Prefect
server, or PostgreSQL; then, where a person or a service manager would, `lorafirst up` is given again, or
PostgreSQL started. Nobody starts the run again: the server does. At the end it is held against one that
nobody touched, as in `benchmarks.recovery`. Runs whose worker was killed too are found by their silence,
after 45 seconds here instead of 120.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.killing import POINTS, Kills, Point
from benchmarks.machine import machine
from benchmarks.own_postgresql import OwnPostgresql
from benchmarks.recovery import ended, settings, told
from benchmarks.served_kills import Served, Target, kill_under, served
from benchmarks.small_runs import MINILM_FOLDER, QUESTION_FILE, write_questions

RESULT = Path(__file__).with_name("served_recovery.json")
DATABASES = ("sqlite", "postgresql")
STEPS, CHECKPOINT_STEPS = 120, 10
"""Of a training: long enough for a server to come back in the middle of one."""


@dataclass(frozen=True)
class Kill:
    """What is killed where."""

    point: Point
    target: Target


def plan(database: str) -> tuple[tuple[Kill, ...], ...]:
    """The kills of each run. At most two of them may end it: the server takes up a run twice in a row."""
    contract, baseline, base, training, scoring, second, _, _, full, scored, _ = POINTS
    told_by_worker = (
        Kill(contract, Target.RUN),
        Kill(training, Target.SERVER),
        Kill(full, Target.RUN),
    )
    silent = (
        Kill(baseline, Target.WORKER),
        Kill(training, Target.RUN_AND_WORKER),
        Kill(second, Target.SERVER),
    )
    late = (
        Kill(base, Target.RUN),
        Kill(scoring, Target.SERVER),
        Kill(full, Target.WORKER),
        Kill(scored, Target.SERVER),
    )
    if database == "sqlite":
        return told_by_worker, silent, late
    lost = (
        Kill(baseline, Target.DATABASE),
        Kill(training, Target.RUN),
        Kill(second, Target.DATABASE),
        Kill(full, Target.RUN),
    )
    return lost, silent, told_by_worker


def measure(
    database: str,
    folder: Path,
    plans: Sequence[Sequence[Kill]],
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """A run that nobody touches, and one for each plan; ``keep`` is given what there is after each."""
    found: dict[str, Any] = {}
    served_folder = folder / "served"
    served_folder.mkdir()
    write_questions(served_folder)
    postgresql = None
    if database == "postgresql":
        (folder / "pg").mkdir()
        postgresql = OwnPostgresql(folder / "pg")
    try:
        with served(served_folder, folder / "state", postgresql) as server:
            undisturbed, _ = one_run(server, "undisturbed", ())
            runs, done = [], Counter[str]()
            for number, kills in enumerate(plans):
                result, came = one_run(server, f"killed-{number}", kills)
                done.update(f"{stage}: {target}" for stage, target in came.done)
                runs.append({**told(came, result, undisturbed, 1), "dossiers": result["dossiers"]})
                del runs[-1]["ends_without_a_clear_reason"], runs[-1]["training_processes"]
                print(json.dumps(runs[-1]), flush=True)
                found = {
                    "kills": sum(done.values()),
                    "kills_by_stage_and_process": dict(done),
                    "outcome": undisturbed["outcome"],
                    "runs": runs,
                    "machine": machine("torch", "prefect"),
                }
                keep(found)
    finally:
        if postgresql is not None:
            postgresql.stop()
    return found


def one_run(server: Served, name: str, kills: Sequence[Kill]) -> tuple[dict[str, Any], Kills]:
    began = time.monotonic()
    output = server.folder / name
    asked = settings(
        MINILM_FOLDER,
        QUESTION_FILE,
        output=name,
        processes=1,
        steps=STEPS,
        checkpoint_steps=CHECKPOINT_STEPS,
    )
    run = server.ask(asked)
    came = kill_under(server, run, output, [(each.point, each.target) for each in kills])
    result = {**ended(output), "dossiers": len(list(output.glob("recovery-*")))}
    print(f"{name}: {len(came.done)} kills, {time.monotonic() - began:.0f} s", flush=True)
    return result, came


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=DATABASES, help="that part of the result alone")
    parser.add_argument("--kills", type=int, help="so many of the first run, on SQLite; writes nothing")
    asked = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    for database in [asked.database] if asked.database else ["sqlite"] if asked.kills else DATABASES:
        plans: Sequence[Sequence[Kill]] = plan(database)
        if asked.kills is not None:
            plans = [plans[0][: asked.kills]]
        # A short path: PostgreSQL's socket lies below it.
        folder = Path(tempfile.mkdtemp(prefix="served"))
        folder.chmod(0o755)
        try:
            if asked.kills is None:
                measure(database, folder, plans, partial(write, database))
            else:
                print(json.dumps(measure(database, folder, plans), indent=2))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write(database: str, found: dict[str, Any]) -> None:
    """Puts the part of one database beside that of the other."""
    before = json.loads(RESULT.read_bytes())["databases"] if RESULT.exists() else {}
    result = {
        "what": "runs at a server of `lorafirst up`; kill -9 of what is named, and nobody starts them again",
        "databases": {**before, database: found},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
