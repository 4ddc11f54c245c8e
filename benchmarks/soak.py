"""50 small runs over two workers that share one server, ledger and artifact folder, with kills among them.

    python -m benchmarks.soak                # a quarter of an hour; writes soak.json
    python -m benchmarks.soak --runs 6       # so many runs; writes nothing
    python -m benchmarks.soak --runs 50 --database postgresql+asyncpg://...     # instead of SQLite

`lorafirst up --runs 2` starts the server and its workers, and a second worker of the pool is started beside
it as docs/operate.md says. First each kind of run goes through them undisturbed, into a folder of its own.
Then all runs are asked for at once, of other names and seeds: most end as pilot_accepted or pilot_invalid,
some in other outcomes that a small run can come to, and those that wait for approval are answered through the
deployment `approve`. Meanwhile `kill -9` comes at random moments (of a fixed seed) to runs' own processes,
and once each to the server and both workers, which are brought back by `lorafirst up` or by the command that
started them. A run that crashed is asked for again with the same settings. In the end some are asked for once
more.

Every run is held against the undisturbed one of its kind: the outcome; with the same seed every decision and
the digest of everything that was trained. Memory and open files of server and workers are noted each time a
run ends.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.endings import TIMES, decisions_of, entries_twice, trained_in
from benchmarks.machine import machine
from benchmarks.serving import patiently, say, up
from benchmarks.soak_runs import Job, Strike, asked_again, jobs, strikes, write_inputs
from benchmarks.soak_watch import Watched, left_over
from tasks.audit.verify.verifying import verify_dossier
from tasks.decisions.gates.power import LOOKS_LEFT
from tasks.evidence.ledger.book import FILE, open_ledger

RESULT = Path(__file__).with_name("soak.json")
RUNS = 50
FINETUNE, APPROVE = "finetune/finetune", "approve/approve"
UNDISTURBED, DISTURBED = "undisturbed", "runs"
AGAIN = " again"
_MOST_SECONDS = 3600.0
_POLL_SECONDS = 1.0
TAKE_UP = "take-up"
_TAKEN_UP_SECONDS = 120.0
"""For the server to go on with a run that broke off, in a queue that others stand in too."""
_NEVER_BEGAN_SECONDS = 420.0
_WAITING = "AwaitingApproval"
_SEED = 7


@dataclass
class Asked:
    """A run that was asked for, and every flow run that worked on it."""

    job: Job
    flow_runs: list[Any]
    answers: list[Any] = field(default_factory=list)
    """Flow runs of `approve`."""
    state: str | None = None
    """In which the last flow run ended, once there is nothing more to do."""
    waited_since: float | None = None
    """When its last flow run was seen to have broken off."""
    broke_off: dict[str, str] = field(default_factory=dict)
    """Of each flow run that came to no outcome, by its id: state and message."""


class Soak:
    """Asks, answers and asks again, until every run has ended."""

    def __init__(self, watched: Watched, output: Path, chance: random.Random) -> None:
        self.watched, self.output, self.chance = watched, output, chance
        self.server = watched.up.server
        self.asked: list[Asked] = []
        self.stages: dict[str, int] = {}
        self.built_twice = 0
        self.taken_up = 0
        """Runs that broke off and that the server went on with by itself."""
        self.marked_by_hand = 0
        deployed = {each.name for each in self.server.client.read_deployments()}
        self.patience_seconds = _TAKEN_UP_SECONDS if TAKE_UP in deployed else 0.0

    def run(self, wanted: Sequence[Job], planned: Sequence[Strike] = ()) -> None:
        """Returns when all of ``wanted`` have ended and all of ``planned`` was done."""
        begun = len(self.asked)
        self.asked += [Asked(job, [self._ask(job).id]) for job in wanted]
        open_runs, due = self.asked[begun:], [(strike, 0.0) for strike in planned]
        deadline = time.monotonic() + _MOST_SECONDS
        while any(each.state is None for each in open_runs):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{[each.job.name for each in open_runs if each.state is None]}")
            before = sum(each.state is not None for each in open_runs)
            for each in open_runs:
                if each.state is None:
                    self._follow(each)
            after = sum(each.state is not None for each in open_runs)
            if after > before:
                self.watched.look(begun + after)
                say(f"{after} of {len(open_runs)} have ended, {len(self.watched.struck)} kills")
                say(f"  {self.watched.last()}")
            self._note_stages()
            due = self._strike(due, after)
            time.sleep(_POLL_SECONDS)

    def _ask(self, job: Job) -> Any:
        return patiently(lambda: self.server.ask(FINETUNE, {"settings": job.settings}))

    def _follow(self, each: Asked) -> None:
        run = patiently(lambda: self.server.client.read_flow_run(each.flow_runs[-1]))
        kind = run.state_type.value if run.state_type else ""
        if kind in ("FAILED", "CRASHED", "CANCELLED"):
            self._go_on(each, run)
        elif kind == "PENDING" and _age(run) > _NEVER_BEGAN_SECONDS:
            # Its worker died between claiming it and starting it.
            self.marked_by_hand += 1
            patiently(lambda: self.server.mark_crashed(run.id, "It never began; marked so by the soak."))
        elif kind == "COMPLETED":
            if run.state_name == _WAITING and each.job.kind.answer is not None:
                self._answer(each)
            else:
                each.state = run.state_name

    def _go_on(self, each: Asked, run: Any) -> None:
        """Follows the flow run by which the server goes on; asks for one itself where there comes none."""
        if str(run.id) not in each.broke_off:
            each.broke_off[str(run.id)], each.waited_since = _said(run), time.monotonic()
        started = self._newer(each)
        if started is not None:
            self.taken_up += 1
            each.flow_runs.append(started)
        elif time.monotonic() - (each.waited_since or 0.0) > self.patience_seconds:
            each.flow_runs.append(self._ask(each.job).id)

    def _newer(self, each: Asked) -> Any:
        """The last flow run of that name that others have asked for; ``None`` where there is none."""
        named = [
            run.id
            for run in patiently(lambda: self.server.runs_of(FINETUNE))
            if run.parameters["settings"]["name"] == each.job.name and run.id not in each.flow_runs
        ]
        return named[-1] if named else None

    def _answer(self, each: Asked) -> None:
        """Asks for the answer, and follows the flow run by which the run then goes on."""
        if not each.answers:
            each.answers.append(self._ask_answer(each.job))
            return
        answer = patiently(lambda: self.server.client.read_flow_run(each.answers[-1]))
        kind = answer.state_type.value if answer.state_type else ""
        if kind in ("FAILED", "CRASHED", "CANCELLED"):
            each.broke_off[str(answer.id)] = _said(answer)
            each.answers.append(self._ask_answer(each.job))
        elif kind == "COMPLETED":
            started = self._newer(each)
            if started is not None:
                each.flow_runs.append(started)

    def _ask_answer(self, job: Job) -> Any:
        run = self._waiting(job)
        asked = {
            "run": run,
            "name": "Ada",
            "reason": "asked by the soak",
            "reply": job.kind.answer,
            "output": job.output,
        }
        return patiently(lambda: self.server.ask(APPROVE, asked)).id

    def _waiting(self, job: Job) -> str:
        folder = self.output.parent / job.output
        return next(
            path.parent.name
            for path in sorted(folder.glob(f"{job.name}-*/manifest.json"), reverse=True)
            if json.loads((path.parent / "outcome.json").read_bytes())["outcome"] == "awaiting_approval"
        )

    def _strike(self, due: list[tuple[Strike, float]], after: int) -> list[tuple[Strike, float]]:
        """Does what is due; a run is struck the planned seconds after as many as planned have ended."""
        left = []
        for strike, at in due:
            if after < strike.after:
                left.append((strike, at))
            elif not at:
                left.append((strike, time.monotonic() + strike.seconds))
            elif time.monotonic() < at or not self.watched.strike(strike, self.chance):
                left.append((strike, at))
        return left

    def _note_stages(self) -> None:
        for path in self.output.glob(".store/[a-z]*/evidence.json"):
            try:
                written = path.stat().st_mtime_ns
            except OSError:
                continue
            self.built_twice += self.stages.get(path.parent.name, written) != written
            self.stages[path.parent.name] = written


def _age(run: Any) -> float:
    """Seconds for which it has been in its state."""
    return float((datetime.now(UTC) - run.state.timestamp).total_seconds())


def _said(run: Any) -> str:
    return f"{run.state_name}: {run.state.message if run.state else None}"


def held_against(each: Asked, dossiers: Sequence[Path], undisturbed: dict[str, Any]) -> list[str]:
    """In what a run differs from the undisturbed one of its kind."""
    differs = set()
    if each.state != undisturbed["state"]:
        differs.add(f"state {each.state}")
    last = ending(dossiers[-1]) if dossiers else {"outcome": "no dossier"}
    if last["outcome"] != undisturbed["outcome"]:
        differs.add(f"outcome {last['outcome']}")
    elif each.job.seed == 0:
        differs |= {key for key in ("decisions", "trained") if last[key] != undisturbed[key]}
    return sorted(differs)


def ending(dossier: Path) -> dict[str, Any]:
    report = json.loads((dossier / "outcome.json").read_bytes())
    return {
        "outcome": report["outcome"],
        # How many have looked at the gate rows before depends on who came first.
        "decisions": decisions_of(report, but=(TIMES, LOOKS_LEFT)),
        "trained": trained_in(dossier),
    }


def dossiers_of(folder: Path, name: str) -> list[Path]:
    """Complete ones, in the order in which they were completed."""
    found = folder.glob(f"{name}-*/manifest.json")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]


def record_of(output: Path) -> dict[str, Any]:
    """What ledger and dossiers of all runs together hold."""
    dossiers = sorted(path.parent for path in output.glob("*/manifest.json"))
    with open_ledger(str(output / FILE), read_only=True) as ledger:
        entries, chain = ledger.check(ledger.checkpoint())
        twice = entries_twice(ledger.entries())
        faults = [str(fault) for each in dossiers for fault in verify_dossier(each, ledger=ledger).faults]
    return {
        "dossiers": len(dossiers),
        "dossiers_left_unfinished": len(list(output.glob("*/request.yaml"))) - len(dossiers),
        "faults_found_by_verify": faults,
        "ledger_entries": entries,
        "faults_of_the_chain": [str(fault) for fault in chain],
        "judgements_twice": twice,
        "partial_folders": sorted(path.name for path in output.glob(".store/.*.partial")),
        "checkpoints_left": sorted(path.name for path in output.glob(".store/.checkpoints/*")),
    }


def measure(count: int, scratch: Path, database: str | None) -> dict[str, Any]:
    folder, state = scratch / "served", scratch / "state"
    folder.mkdir()
    write_inputs(folder)
    temporary, cache = scratch / "temporary", scratch / "cache"
    temporary.mkdir()
    # Of everything that is started from here on, so that what is left there can be told from others'.
    os.environ["TMPDIR"], os.environ["XDG_CACHE_HOME"] = str(temporary), str(cache)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = ["--runs", "2", *(["--database", database] if database else [])]
    chance = random.Random(_SEED)
    with up(folder, state, *options) as operated:
        watched = Watched(operated, folder, scratch)
        watched.start_second_worker()
        try:
            chosen = jobs(count, DISTURBED)
            kinds = {job.kind.name: job.kind for job in chosen}
            alone = Soak(watched, folder / UNDISTURBED, chance)
            alone.run([Job(f"undisturbed-{name}", kind, 0, UNDISTURBED) for name, kind in kinds.items()])
            watched.samples.clear()
            cached = files_in(cache)
            begun = time.monotonic()
            soak = Soak(watched, folder / DISTURBED, chance)
            soak.run(chosen, strikes(count, chance))
            seconds = time.monotonic() - begun
            stages = len(soak.stages)
            soak.run(asked_again(chosen))
            new_stages = len(soak.stages) - stages
        finally:
            watched.stop_second_worker()
    return summary(soak, alone, watched, count) | {
        "stages_new_when_asked_again": new_stages,
        "seconds": round(seconds),
        "processes_left_over": left_over(scratch),
        "left_in_the_temporary_folder": sorted(
            f"{path.relative_to(temporary)}: {files_in(path)} files" for path in temporary.iterdir()
        ),
        "files_new_in_the_caches": files_in(cache) - cached,
    }


def files_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def summary(soak: Soak, alone: Soak, watched: Watched, count: int) -> dict[str, Any]:
    """What all of it came to."""
    undisturbed = {
        each.job.kind.name: {"state": each.state, **ending(dossiers_of(alone.output, each.job.name)[-1])}
        for each in alone.asked
    }
    killed = {each.flow_run for each in watched.struck if each.flow_run}
    differing = {
        each.job.name: differs
        for each in soak.asked
        if (
            differs := held_against(
                each, dossiers_of(soak.output, each.job.name), undisturbed[each.job.kind.name]
            )
        )
    }
    return {
        "runs": count,
        "asked_again_after_their_end": len(soak.asked) - count,
        "outcomes": dict(Counter(str(each.state) for each in soak.asked[:count])),
        "kills": dict(Counter(each.victim.value for each in watched.struck)),
        "flow_runs_that_broke_off": sum(len(each.broke_off) for each in soak.asked),
        "of_them_the_server_went_on_with": soak.taken_up,
        "of_them_marked_by_hand": soak.marked_by_hand,
        "of_them_not_killed": [
            f"{each.job.name} {said}"
            for each in soak.asked
            for run, said in each.broke_off.items()
            if run not in killed
        ],
        "differ_from_undisturbed": differing,
        "broke_off_undisturbed": [said for each in alone.asked for said in each.broke_off.values()],
        "stages_built": len(soak.stages),
        "stages_built_twice": soak.built_twice,
        **record_of(soak.output),
        "growth": watched.grown(),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, help="so many, and write nothing")
    parser.add_argument("--database", help="as of `lorafirst up`")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lorafirst-soak-") as scratch:
        found = measure(chosen.runs or RUNS, Path(scratch).resolve(), chosen.database)
    result = {
        "what": "small runs over two workers of one server, ledger and artifact folder, killed by kill -9",
        "database": "PostgreSQL" if chosen.database else "SQLite",
        **found,
        "machine": machine("prefect", "torch"),
    }
    if chosen.runs is None:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    say(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
