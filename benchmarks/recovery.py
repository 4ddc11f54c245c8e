"""Runs that are killed at every stage, and whether they end as an undisturbed one does.

    python -m benchmarks.recovery              # writes recovery.json
    python -m benchmarks.recovery --kills 3    # writes nothing

Each run goes all the way: contract, baseline, pilots, escalation, permit, full fine-tuning. It is killed
with ``kill -9`` a stage further each time and started again by the same command, until it ends. Then it is
held against one that nobody touched: outcome and every decision, the digest of everything that was trained,
stages written once, one chain of the ledger without a judgement twice, no process left over, and a dossier
without a fault. Runs of two kinds take turns: those that train in their own process, and those that train in
two others. What is killed is the run's own process, one of those two, or the Prefect server of the run.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.endings import decisions_of, entries_twice, told_once
from benchmarks.killing import POINTS, Command, Kills, Point, Victim, kill_on_the_way
from benchmarks.machine import machine
from benchmarks.small_runs import MINILM_FOLDER, QUESTION_FILE, write_questions
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.ledger.book import FILE, open_ledger

RESULT = Path(__file__).with_name("recovery.json")


def command(folder: Path, name: str, processes: int) -> Command:
    """A run whose pilots are made fair quickly and stay short, so that full fine-tuning is permitted."""
    output, home = folder / name / "runs", folder / name / "home"
    home.mkdir(parents=True)
    asked = settings(
        str(folder / MINILM_FOLDER), str(folder / QUESTION_FILE), output=str(output), processes=processes
    )
    config = folder / name / "run.yaml"
    config.write_text(yaml.safe_dump(asked), encoding="utf-8")
    return Command(config, output, home)


def settings(
    model: str, rows: str, *, output: str, processes: int, steps: int = 12, checkpoint_steps: int = 2
) -> dict[str, Any]:
    return {
        "name": "recovery",
        "task": "classification",
        "model": {"source": model, "max_tokens": 48},
        "data": {"source": rows},
        "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.0},
        "policy": {
            "extends": "exploratory",
            "metric": "accuracy",
            "target": 0.99,
            "margin": 0.0,
            "fairness": {"rate_multiples": [0.01, 20.0, 10_000.0], "on_breach": "block"},
            "remedies": {"allowed": ["sweep"], "maximum_pilots": 2},
        },
        "pilot": {"rank": 8, "alpha": 16, "learning_rate": 2e-3},
        "full": {"learning_rate": 1e-4},
        "training": {
            "epochs": 50.0,
            "max_steps": steps,
            "effective_batch_size": 16,
            "micro_batch_size": 8,
            "curve_points": 2,
            "checkpoint_steps": checkpoint_steps,
        },
        "compute": {"processes": processes},
        "output": output,
    }


def ended(output: Path) -> dict[str, Any]:
    """What a run came to, without what differs from one run to the next: times, and its name."""
    # A run that could tell no server of its end is run again, into a dossier of its own.
    dossier, *_ = sorted(output.glob("recovery-*"))
    report = json.loads((dossier / "outcome.json").read_bytes())
    # Keys of stages hold the salts of the rows, of which every run has others.
    stages = {
        path: path.parent.name.rpartition("-")[0] for path in output.glob(".store/[a-z]*/evidence.json")
    }
    trained = [
        [stage, json.loads(path.read_bytes())["artifact"]]
        for path, stage in stages.items()
        if stage.startswith("train-")
    ]
    with open_ledger(str(output / FILE), read_only=True) as ledger:
        own = list(ledger.entries(dossier.name))
        _, chain = ledger.check(ledger.checkpoint())
        faults = verify_dossier(dossier, ledger=ledger).faults
    return {
        "outcome": report["outcome"],
        "decisions": decisions_of(report),
        "trained": sorted(trained, key=json.dumps),
        "stages": sorted(stages.values()),
        "ledger": [each.kind.value for each in told_once(own)],
        "entries_twice": entries_twice(own),
        "faults_of_ledger": len(chain),
        "faults_of_dossier": [str(fault) for fault in faults],
        "left_over": sorted(path.name for path in output.glob(".store/.*.partial")),
    }


def points(number: int, processes: int) -> list[Point]:
    """Where the ``number``-th run of its kind is killed, and what of it.

    Every second one loses its server last: it goes on to its end and says that nobody could be told of it.
    """
    chosen = [
        replace(point, victim=Victim.TRAINING)
        if processes > 1 and point.stage in ("pilot training", "full training")
        else point
        for point in POINTS
    ]
    if number % 2 == 0:
        return chosen
    last = 3 + number % 7
    return [*chosen[:last], replace(chosen[last], victim=Victim.API)]


def measure(
    folder: Path, most: int, keep: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """So many kills, over as many runs as they take; ``keep`` is given what there is after each run."""
    write_questions(folder)
    undisturbed: dict[int, dict[str, Any]] = {}
    done: Counter[tuple[str, str]] = Counter()
    runs: list[dict[str, Any]] = []
    chance = random.Random(7)
    result: dict[str, Any] = {}
    while sum(done.values()) < most and (not runs or runs[-1]["kills"]):
        number, processes = divmod(len(runs), 2)
        processes += 1
        if processes not in undisturbed:
            alone = command(folder, f"undisturbed-{processes}", processes)
            assert kill_on_the_way(alone, (), chance) == Kills()
            undisturbed[processes] = ended(alone.output)
        killed = command(folder, f"killed-{processes}-{number}", processes)
        kills = kill_on_the_way(killed, points(number, processes)[: most - sum(done.values())], chance)
        done.update(kills.done)
        runs.append(told(kills, ended(killed.output), undisturbed[processes], processes))
        print(json.dumps(runs[-1]), flush=True)
        shutil.rmtree(killed.output)
        result = {
            "what": "runs to full fine-tuning, killed by kill -9 and started again by the same command",
            "outcome": undisturbed[1]["outcome"],
            "kills": sum(done.values()),
            "kills_by_stage_and_process": {f"{stage}: {victim}": n for (stage, victim), n in done.items()},
            "runs": runs,
            "machine": machine("torch", "prefect"),
        }
        keep(result)
    return result


def told(kills: Kills, result: dict[str, Any], undisturbed: dict[str, Any], processes: int) -> dict[str, Any]:
    """What one killed run came to."""
    differs = {key: [undisturbed[key], result[key]] for key in undisturbed if result[key] != undisturbed[key]}
    return {
        "training_processes": processes,
        "kills": len(kills.done),
        "places_passed_by": kills.passed_by,
        "differs_from_undisturbed_in": differs,
        "stages_built_twice": kills.built_twice,
        "processes_left_over": kills.orphans,
        "ends_without_a_clear_reason": kills.unclear,
        "ledger_entries_twice": result["entries_twice"],
        "faults": result["faults_of_ledger"] + len(result["faults_of_dossier"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, help="so many, and write nothing")
    parser.add_argument("--most", type=int, default=36, help="so many, and write them down")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lorafirst-recovery-") as folder:
        if asked.kills is None:
            measure(Path(folder), asked.most, write)
        else:
            print(json.dumps(measure(Path(folder), asked.kills), indent=2))


def write(result: dict[str, Any]) -> None:
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
