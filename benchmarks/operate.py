"""What a server adds to a run: seconds from the click to the first stage, cost of a stage, a queue of 200.

    python -m benchmarks.operate                    # a quarter of an hour; writes operate.json
    python -m benchmarks.operate --only rollback    # two minutes; writes that part of operate.json
    python -m benchmarks.operate --tiny             # one run each and a queue of 5; writes nothing

`lorafirst up` starts the server (SQLite) and its workers in folders of this benchmark's own, and `down` stops
them. A small run (a two-layer MiniLM on 400 questions, twelve steps) goes through the deployment `finetune`
and, in between, through `lorafirst run` with an API of its own; both do the same stages from nothing, in a
folder of their own each time. "Click" is the moment the flow run is asked for, as the form does.

For the queue, flow runs of unusable settings are asked for all at once: each is a process that starts,
imports lorafirst and is refused, so that what is measured is the queue and not a training. They go one at a
time; a flow run of `remind` asked for behind them must not wait for them. After some have gone the rest is
deleted.

For the rollback two small models are promoted, and the champion goes back to the one and to the other in
turn, by the command `lorafirst rollback` and through the deployment `rollback`.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.serving import ENDED, PATIENCE_SECONDS, Server, command, say, up
from benchmarks.small_runs import doors, small, write_doors, write_questions

RESULT = Path(__file__).with_name("operate.json")


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    pairs: int
    queued: int
    drained: int
    rollbacks: int
    """Each way."""


FULL = Amount(pairs=3, queued=200, drained=10, rollbacks=3)
TINY = Amount(pairs=1, queued=5, drained=2, rollbacks=1)
ROLLBACK = "rollback"


def through_the_server(server: Server, output: str) -> dict[str, float]:
    clicked = time.time()
    run = require(
        server.ended(server.ask("finetune/finetune", {"settings": small(output)}).id), "PilotInvalid"
    )
    stages = server.stages(run.id)
    return {
        "click_to_running": run.start_time.timestamp() - clicked,
        "click_to_first_stage": stages[0].start_time.timestamp() - clicked,
        "click_to_end": run.end_time.timestamp() - clicked,
        "run": (run.end_time - run.start_time).total_seconds(),
        "stages": float(len(stages)),
    }


def in_process(folder: Path, output: str) -> dict[str, float]:
    """The same by the command, its API included; ``run`` is what the flow itself took."""
    import yaml

    config = folder / "small.yaml"
    config.write_text(yaml.safe_dump(small(output)), encoding="utf-8")
    began = time.monotonic()
    report = json.loads(command("run", str(config), "--json", PREFECT_API_URL=""))
    return {"command": time.monotonic() - began, "run": float(report["seconds"])}


def queue(server: Server, amount: Amount) -> dict[str, Any]:
    began = time.monotonic()
    asked = [
        server.ask("finetune/finetune", {"settings": small("queued", data={"source": "missing.jsonl"})}).id
        for _ in range(amount.queued)
    ]
    creation = time.monotonic() - began
    listed = []
    for _ in range(5):
        start = time.monotonic()
        server.client.read_flow_runs(limit=200)
        listed.append(time.monotonic() - start)
    clicked = time.time()
    reminded = server.ended(server.ask("remind/remind", {}).id)
    waiting: list[Any] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        runs = [server.client.read_flow_run(run_id) for run_id in asked[: 4 * amount.drained]]
        waiting = [run for run in runs if run.state_type and run.state_type.value in ENDED]
        if len(waiting) >= amount.drained:
            break
        time.sleep(2)
    began_and_ended = ((run.start_time, run.end_time) for run in waiting if run.start_time)
    spans = sorted((start.timestamp(), end.timestamp()) for start, end in began_and_ended)
    overlapping = sum(1 for one, other in itertools.pairwise(spans) if other[0] < one[1])
    between = [other[1] - one[1] for one, other in itertools.pairwise(spans)]
    for run_id in asked:
        server.client.delete_flow_run(run_id)
    return {
        "queued": amount.queued,
        "seconds_to_ask_for_all": round(creation, 1),
        "seconds_to_list_200_of_them": round(statistics.median(listed), 3),
        "seconds_of_an_answer_asked_for_behind_them": round(reminded.end_time.timestamp() - clicked, 1),
        "ended": len(waiting),
        "that_began_before_the_one_ahead_had_ended": overlapping,
        "seconds_from_one_end_to_the_next": round(statistics.median(between), 1) if between else None,
    }


def roll_back(server: Server, folder: Path, times: int) -> dict[str, Any]:
    """Seconds of a rollback, by the command and through the deployment, of two promoted versions."""
    output = str(folder / "doors")
    for seed in (1, 2):
        run = server.ended(server.ask("finetune/finetune", {"settings": doors("doors", seed=seed)}).id)
        require(run, "PilotAccepted")
    for dossier in sorted(Path(output).glob("doors-*")):
        told = json.loads(command("promote", dossier.name, "--output", output, "--json", PREFECT_API_URL=""))
        if told["outcome"] != "promoted":
            raise RuntimeError(f"{dossier.name} was not promoted: {told['sentence']}")
    by_command, clicked_to_end, its_flow = [], [], []
    for _ in range(times):
        # The command from version 2 to version 1, the deployment back again.
        began = time.monotonic()
        command("rollback", "doors", "--to", "1", "--reason", "a benchmark", "--output", output)
        by_command.append(time.monotonic() - began)
        clicked = time.time()
        asked = {"model": "doors", "reason": "a benchmark", "to": 2, "output": "doors"}
        run = require(server.ended(server.ask("rollback/rollback", asked).id), "RolledBack")
        clicked_to_end.append(run.end_time.timestamp() - clicked)
        its_flow.append((run.end_time - run.start_time).total_seconds())
    return {
        "times_each_way": times,
        "seconds_by_the_command": middle(by_command),
        "seconds_from_the_click_to_the_end_of_the_deployment": middle(clicked_to_end),
        "seconds_of_the_flow_itself": middle(its_flow),
    }


def require(run: Any, state: str) -> Any:
    """The flow run, if it ended so."""
    if run.state_name != state:
        raise RuntimeError(f"the flow run ended as {run.state_name}: {run.state.message}")
    return run


def middle(found: list[float]) -> float:
    return round(statistics.median(found), 2)


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: middle([each[name] for each in found]) for name in found[0]}


def measure(amount: Amount, folder: Path, state: Path) -> dict[str, Any]:
    """Everything but the rollback."""
    with up(folder, state) as operated:
        served, alone = [], []
        for pair in range(amount.pairs):
            served.append(through_the_server(operated.server, f"served-{pair}"))
            say(f"served: {served[-1]}")
            alone.append(in_process(folder, f"alone-{pair}"))
            say(f"alone: {alone[-1]}")
        queued = queue(operated.server, amount)
        say(f"queue: {queued}")
    through, here = medians(served), medians(alone)
    return {
        "seconds": {"up": round(operated.up_seconds, 1), "down": round(operated.down_seconds, 1)},
        "runs_each_way": amount.pairs,
        "through_the_server": through,
        "in_process": here,
        "seconds_more_a_stage_at_the_server": round((through["run"] - here["run"]) / through["stages"], 3),
        "queue": queued,
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="one run each and a queue of 5; writes nothing")
    parser.add_argument("--only", choices=[ROLLBACK], help="this part alone; the others stay as they are")
    chosen = parser.parse_args(arguments)
    amount = TINY if chosen.tiny else FULL
    result: dict[str, Any] = {
        "what": "a small run at a server of `lorafirst up` beside `lorafirst run`, a queue, and a rollback",
    }
    with tempfile.TemporaryDirectory(prefix="lorafirst-operate-") as scratch:
        folder = Path(scratch) / "served"
        folder.mkdir()
        write_questions(folder)
        write_doors(folder)
        if chosen.only is None:
            result |= measure(amount, folder, Path(scratch) / "state")
        else:
            result |= json.loads(RESULT.read_bytes()) | result
        with up(folder, Path(scratch) / "state-of-rollback") as operated:
            rolled = roll_back(operated.server, folder, amount.rollbacks)
    # With a machine of its own, since it can be measured alone.
    result[ROLLBACK] = rolled | {"machine": machine("prefect")}
    if chosen.only is None:
        result["machine"] = machine("prefect", "torch", "transformers")
    if not chosen.tiny:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    say(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
