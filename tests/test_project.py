"""The layout, the types and the style are what the project says they are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tool(*command: str) -> None:
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_nothing_imports_upward() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout


def test_style() -> None:
    tool("ruff", "check", ".")
    tool("ruff", "format", "--check", ".")


@pytest.mark.slow
def test_types() -> None:
    tool("mypy")


def test_every_test_folder_is_a_package() -> None:
    """Without __init__.py, tests/tasks would shadow tasks."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_files_that_are_spread_by_name_are_there() -> None:
    from tests.spread import LONGEST_FIRST, TOGETHER

    named = {*LONGEST_FIRST, *TOGETHER, *TOGETHER.values()}
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_constraints_name_every_requirement() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["dev"]]

    def normal(name: str) -> str:
        return re.sub("[-_.]+", "-", name).lower()

    names = {normal(re.split(r"[<>=\[ ]", requirement)[0]) for requirement in required}
    pinned = {
        normal(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    assert names - pinned == set()


def test_only_permitted_code_trains_in_full() -> None:
    """The one call that leaves base weights trainable stands behind ``FullRung.require``."""
    callers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("tasks", "flows", "deployments", "data_contracts")
        for path in (ROOT / folder).rglob("*.py")
        if "FullRung(" in path.read_text(encoding="utf-8")
    ]
    assert sorted(callers) == [
        "tasks/stages/training.py",
        "tasks/training/job.py",  # hands the permit on to several processes, of which each checks it
        "tasks/training/rungs.py",
    ]
    trainers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("tasks", "flows", "deployments", "data_contracts")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\.train\((?!training\))|Trainer\(", path.read_text(encoding="utf-8"))
    ]
    assert sorted(trainers) == ["tasks/training/survival.py", "tasks/training/trainer.py"]
    # Both are reached through ``fit`` alone, whose model comes from ``prepare``.
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in ("tasks", "flows", "deployments", "data_contracts", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if any(
            f"tasks.training.{name} " in path.read_text(encoding="utf-8") for name in ("survival", "trainer")
        )
    ]
    assert sorted(users) == ["tasks/training/fit.py", "tasks/training/survival.py"]
