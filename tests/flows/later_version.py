"""A later version of lorafirst, whose records have more fields, to check older dossiers with."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import flows

ROOT = Path(flows.__file__).parents[1]
GAINED = "gained_since"


def write_later_version(folder: Path) -> int:
    """Copies the packages and gives every record one field more; how many there are."""
    for package in ("data_contracts", "tasks", "flows"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return sum(_with_more_fields(path) for path in (folder / "data_contracts").rglob("*.py"))


def _with_more_fields(path: Path) -> int:
    """How many records of the file have gained one."""
    text = path.read_text(encoding="utf-8")
    lines, gained = text.splitlines(keepends=True), 0
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Record" for base in node.bases):
            assert node.end_lineno is not None
            lines.insert(node.end_lineno, f"\n    {GAINED}: int = 7\n")
            gained += 1
    path.write_text("".join(lines), encoding="utf-8")
    return gained


def run_by(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flows.command_line", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )
