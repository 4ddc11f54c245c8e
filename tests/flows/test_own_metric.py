"""A run that decides on a function of the user's own, and whose answers a person reads."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tests.flows.conftest import WriteRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

SOURCE = '''
def sure(answers, references, rows):
    """Half a point for a label of the right kind of question, at least."""
    return [1.0 if a == r else 0.25 * ("?" in row["text"]) for a, r, row in zip(answers, references, rows)]


def random_one(answers, references):
    import random
    return [random.random() for _ in answers]
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "flow_scores.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("flow_scores", None)


def asked(function: str) -> dict[str, Any]:
    metric = {
        "name": "sureness",
        "function": f"flow_scores:{function}",
        "higher_is_better": True,
        "maximum": 1.0,
    }
    return {
        "scoring": {"custom": [metric]},
        "policy": {"metric": "sureness", "target": 0.3, "margin": 0.25, "power": {"standard_deviation": 0.4}},
    }


def test_a_run_decides_on_it_and_its_answers_can_be_read(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    config = write_run(rows, **asked("sure"))
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    need = next(each for each in report["decisions"] if each["gate"] == "need")
    assert need["rules"][0]["observed"].startswith("sureness ")
    dossier = Path(report["dossier"])
    scored = dossier / "baseline" / "gate"
    lines = pq.read_table(scored / "scores.parquet").to_pylist()
    assert {line["sureness"] for line in lines} <= {0.0, 0.25, 1.0}
    assert all(line["sureness"] == 1.0 for line in lines if line["accuracy"] == 1.0)
    assert all(
        0.0 < line["right_label_probability"] <= line["top_label_probability"] + 1e-9 for line in lines
    )
    bins = json.loads((scored / "reliability.json").read_bytes())["bins"]
    assert sum(each["rows"] for each in bins) == len(lines)
    assert b"<svg" in (scored / "reliability.svg").read_bytes()

    def answers(*options: str) -> Any:
        command = ["answers", report["run_id"], "-o", str(tmp_path / "runs"), *options]
        return CliRunner().invoke(app, command)

    worst = json.loads(answers("--split", "gate", "--of", "baseline", "--worst", "3", "--json").stdout)
    assert [row["scores"]["sureness"] for row in worst["rows"]] == sorted(line["sureness"] for line in lines)[
        :3
    ]
    texts = {row["text"] for row in rows}
    assert all(row["question"] in texts and row["reference"] for row in worst["rows"])
    best = json.loads(answers("--split", "gate", "--metric", "cross_entropy", "--best", "1", "--json").stdout)
    assert best["rows"][0]["scores"]["cross_entropy"] == min(line["cross_entropy"] for line in lines)
    read = answers("--split", "gate", "--random", "2")
    assert read.exit_code == 0 and read.output.count("reference") == 2 and "no longer tested" in read.output
    assert answers("--split", "gate", "--metric", "bleu").exit_code == EXIT_INPUT
    assert answers("--split", "gate", "--best", "1", "--worst", "1").exit_code == EXIT_INPUT


def test_one_that_is_not_deterministic_ends_the_run_before_training(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    config = write_run(rows, **asked("random_one"))
    result = CliRunner().invoke(app, ["run", str(config)])
    assert result.exit_code == EXIT_INPUT and "the same score for the same row" in result.output
    assert "Traceback" not in result.output and not list(tmp_path.glob("runs/*/baseline"))
    result = CliRunner().invoke(app, ["run", str(write_run(rows, **asked("absent")))])
    assert result.exit_code == EXIT_INPUT and "name one of sure, random_one" in result.output
