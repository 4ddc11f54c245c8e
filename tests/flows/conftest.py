"""One real Prefect API for the session, and small real runs."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.records.decision import Outcome
from data_contracts.settings_file import load_settings
from flows.command_line import app
from flows.running import run_here
from tests.conftest import MINILM


@pytest.fixture(scope="session")
def answered(api: str, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dossier of a run that accepted a pilot which answers in words, some of them empty.

    For every test that reads a dossier; who changes something copies it first.
    """
    folder = tmp_path_factory.mktemp("answered")
    data = folder / "rows.jsonl"
    rows = [{"prompt": prompt, "completion": answer, "topic": topic} for prompt, answer, topic in ANSWERED]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = small_settings(
        data,
        name="answered",
        task="instruction",
        model={"source": str(tiny_llama)},
        data={"columns": {"keep": ["topic"]}},
        splits={"train": 0.5, "tune": 0.1},
        policy={
            "metric": "completion_loss",
            "target": 11.0,
            "margin": 0.1,
            "need": {"examples_in_prompt": 0},
            "power": {"standard_deviation": 2.0},
        },
        pilot={"learning_rate": 3e-2},
        training={"max_steps": 30},
        generation={"max_new_tokens": 6},
    )
    config = folder / "run.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    report = run_here(load_settings(config), quiet=True)
    assert report.outcome is Outcome.PILOT_ACCEPTED, report.sentence
    return Path(report.dossier)


ANSWERED = [
    (
        f"What is written on door {number} of the \u00e9cole \u5b66\u6821 \U0001f6aa?",
        f"the number {number}",
        f"wing {number % 3}",
    )
    for number in range(300)
]
"""Prompt, answer and a column to keep: words beyond ASCII, and rows too alike for nobody."""

WriteRun = Callable[..., Path]

NEVER_FULL: dict[str, Any] = {"target": 0.99}
"""Under `exploratory`: base and pilot are short, and a pilot that was not made fair never escalates."""

ESCALATES: dict[str, Any] = {
    "target": 0.99,
    # Rates of which the middle one, the pilot's own, is certain to be best: 1e-6, 2e-3 and 1.
    "fairness": {"rate_multiples": [0.01, 20.0, 10_000.0], "on_breach": "block"},
    "remedies": {"allowed": ["sweep"], "maximum_pilots": 2},
}
"""Laid over `exploratory`: the quickest fair test there is, which a pilot of few steps fails."""

REFERENCE: dict[str, Any] = {"learning_rate": 1e-4}
"""The full rate that ``ESCALATES`` multiplies."""


def small_settings(data: Path, /, base: str = MINILM, **changes: Any) -> dict[str, Any]:
    """A run of seconds: MiniLM, or the model ``base``, on a few hundred questions."""
    settings: dict[str, Any] = {
        "name": "small",
        "task": "classification",
        "model": {"source": base, "max_tokens": 48},
        "data": {"source": str(data)},
        "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.0},
        # A few hundred rows and a dozen steps: enough to walk every stage, too few for a default policy.
        "policy": {"extends": "exploratory", "metric": "accuracy", "target": 0.5, "margin": 0.05},
        "pilot": {"rank": 8, "alpha": 16, "learning_rate": 2e-3},
        "training": {"max_steps": 12, "effective_batch_size": 16, "curve_points": 2},
    }
    for key, value in changes.items():
        settings[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
    return settings


@pytest.fixture
def write_run(short_minilm: Path, tmp_path: Path) -> WriteRun:
    """Writes rows as JSON Lines (or raw text) and the settings for them; returns the settings file."""

    def write(rows: Iterable[object] | str, **changes: Any) -> Path:
        data = tmp_path / "rows.jsonl"
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        data.write_text(text, encoding="utf-8")
        config = tmp_path / "run.yaml"
        config.write_text(
            yaml.safe_dump(small_settings(data, str(short_minilm), **changes)), encoding="utf-8"
        )
        return config

    return write


@pytest.fixture(scope="session")
def runs(api: str, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Dossiers, in one output folder, of two runs that accepted a model, of one that did not, and of one that
    accepted a much worse one."""
    folder = tmp_path_factory.mktemp("registry")
    data = write_rows(folder / "rows.jsonl", ANSWERED)
    made = []
    for seed, target, steps in ((1, 11.0, 30), (2, 11.0, 30), (3, 0.5, 30), (4, 11.0, 2)):
        config = folder / f"run-{seed}.yaml"
        settings = topics(data, tiny_llama, folder / "runs", seed=seed, target=target, steps=steps)
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        report = run_here(load_settings(config), quiet=True)
        assert report.outcome.accepted is (target > 1.0), report.sentence
        made.append(Path(report.dossier))
    return tuple(made)


def write_rows(path: Path, answered: Iterable[tuple[str, str, str]]) -> Path:
    """A file of prompts and completions."""
    rows = [{"prompt": prompt, "completion": answer} for prompt, answer, _ in answered]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def topics(
    data: Path, base: Path, output: Path, *, seed: int = 1, target: float = 11.0, steps: int = 30
) -> dict[str, Any]:
    """Settings of a run of seconds, of the model ``topics``."""
    return small_settings(
        data,
        name="topics",
        task="instruction",
        model={"source": str(base)},
        splits={"train": 0.5, "tune": 0.1},
        policy={
            "metric": "completion_loss",
            "target": target,
            "margin": 0.1,
            "need": {"examples_in_prompt": 0},
            "power": {"standard_deviation": 2.0},
            "promotion": {"margin": 1.0},
        },
        pilot={"learning_rate": 3e-2},
        training={"max_steps": steps},
        generation={"max_new_tokens": 2},
        seed=seed,
        output=str(output),
    )


@pytest.fixture
def output(runs: tuple[Path, ...], tmp_path: Path) -> Path:
    """The same runs with a registry of their own."""
    folder = tmp_path / "runs"
    shutil.copytree(runs[0].parent, folder, copy_function=shutil.copy2)
    return folder


def call(output: Path, *arguments: str) -> tuple[int, Any]:
    """Exit code and JSON of a command on the runs in ``output``."""
    result = CliRunner().invoke(app, [*arguments, "--output", str(output), "--json"])
    return result.exit_code, json.loads(result.stdout)


Answered = list[tuple[str, str, str]]

OTHERS: Answered = [
    (f"Please add {number} and {number * 7 % 31} for me, and tell the sum as a roman numeral", "XI or so", "")
    for number in range(25)
]
"""Too few to be enough by their number, and of another source."""


@pytest.fixture
def champion(output: Path, runs: tuple[Path, ...]) -> Path:
    """An output folder whose first run is champion."""
    assert call(output, "promote", runs[0].name)[1]["outcome"] == "promoted"
    return output


def retrain(output: Path, base: Path, rows: Answered, *, command: str = "retrain", **changes: Any) -> Any:
    data = write_rows(output.parent / "now.jsonl", rows)
    config = output.parent / "now.yaml"
    settings = topics(data, base, output) | changes
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return call(output, command, str(config))
