"""The processes that arms run in: ours and trl's with our libraries, LLaMA-Factory's with its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMON = ("torch", "transformers", "peft", "datasets", "bitsandbytes", "pandas")
LLAMA_FACTORY = ("benchmarks.training_arms.llama_factory", "llamafactory.train.tuner")

Run = dict[str, Any]
"""What one run of an arm found; ``failed`` alone where it did not finish."""


class Worker:
    """A process that has imported the libraries, and forks for each job."""

    def __init__(self, python: str, modules: Sequence[str], paths: Sequence[Path] = ()) -> None:
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.training_arms.worker", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment(paths),
        )
        if self._answer() != "ready":
            raise SystemExit(f"{python} cannot import {', '.join(modules)}")

    def run(self, job: Path) -> Run:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{job}\n")
        self.process.stdin.flush()
        self._answer()
        found: Run = json.loads(job.with_name("result.json").read_text(encoding="utf-8"))
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() in {"ready", "done"}:
                return line.strip()
        return ""


def environment(paths: Sequence[Path] = ()) -> dict[str, str]:
    """One thread, no hub, and ``paths`` to import from."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, paths)]),
    }


def own(module: str, *arguments: str | Path) -> dict[str, Any]:
    """The JSON that a module of ours prints in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.training_arms.{module}", *map(str, arguments)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def start_workers(llamafactory: Path | None, paths: Sequence[Path]) -> dict[str, Worker]:
    """By runner. trl's is ours with ``paths``, unless it cannot be imported."""
    ours = Worker(sys.executable, COMMON, paths)
    workers = {"ours": ours, "plain": ours}
    command = [sys.executable, "-c", "import trl"]
    if subprocess.run(command, env=environment(paths), capture_output=True).returncode == 0:
        workers["trl_sft"] = ours
    else:
        print("trl is not installed: its arms are left out (pip install 'lorafirst[benchmarks]')", flush=True)
    if llamafactory is None:
        print("no environment of LLaMA-Factory: its arms are left out (--llamafactory PYTHON)", flush=True)
    else:
        workers["llama_factory"] = Worker(str(llamafactory), (*COMMON, *LLAMA_FACTORY))
    return workers


def versions_of(llamafactory: Path | None, paths: Sequence[Path]) -> dict[str, Any]:
    """Of the peers, each as its own environment has them."""
    script = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    )

    def ask(python: str, *names: str, paths: Sequence[Path] = ()) -> dict[str, str] | str:
        command = [python, "-c", script, *names]
        done = subprocess.run(command, env=environment(paths), capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else "not installed"

    return {
        "trl": ask(sys.executable, "trl", paths=paths),
        "LLaMA-Factory": ask(str(llamafactory), "llamafactory", "torch", "transformers", "peft", "trl")
        if llamafactory
        else "not run",
    }
