"""Every decision of every run in one table, of the same columns and types whatever the runs hold."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_contracts.records.decision import Outcome
from flows.command_line import app
from flows.commands.failing import EXIT_FAULT, EXIT_INPUT
from tasks.audit.decision_table import decision_schema, tabulate_decisions
from tests.tasks.audit.conftest import Written, report_of
from tests.tasks.evidence.made import AT, finish


def call(output: Path, to: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["decisions", "--output", str(output), "--to", str(to), *options])


@pytest.fixture
def output(escalated: Written) -> Path:
    """A run that went all the way and decided something on no rule, and one that has decided nothing yet."""
    justified = escalated.dossier.decisions()[-1]
    told = justified.rules[0].model_copy(update={"decides": False})
    escalated.decide(justified.model_copy(update={"rules": (told,)}))
    escalated.decide(justified.model_copy(update={"rules": ()}))
    escalated.dossier.write_report(report_of(escalated.dossier, Outcome.FULL_ACCEPTED, "full/model"))
    finish(escalated.dossier)
    folder = escalated.dossier.folder
    shutil.copytree(folder, folder.with_name("run-2"))
    for path in (folder.parent / "run-2").iterdir():
        if path.name != "request.yaml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder.parent


def test_each_rule_is_a_row_with_its_figures(escalated: Written, output: Path) -> None:
    found = tabulate_decisions(output)
    decisions = escalated.dossier.decisions()
    assert (found.runs, found.decisions, found.unreadable) == (2, len(decisions), ())
    rows = found.table.to_pylist()
    expected = [(n, d, rule) for n, d in enumerate(decisions, 1) for rule in d.rules]
    without = rows.pop()
    assert (without["number"], without["rule"], without["sentence"]) == (
        len(decisions), None, decisions[-1].sentence,
    )  # fmt: skip
    assert len(rows) == len(expected) > 15
    for row, (number, decision, rule) in zip(rows, expected, strict=True):
        assert (row["number"], row["gate"], row["verdict"]) == (number, decision.gate, decision.verdict)
        assert (row["rule"], row["observed"], row["threshold"]) == (rule.name, rule.observed, rule.threshold)
        assert (row["rule_verdict"], row["decides"]) == (rule.verdict, rule.decides)
        assert (row["sentence"], row["look"]) == (rule.sentence, decision.look)
        interval = rule.interval
        for name in ("mean", "lower", "upper", "alpha", "rows", "seeds"):
            assert row[name] == (None if interval is None else getattr(interval, name))
        assert row["outcome"] == "full_accepted"
        assert row["decided_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ") == AT
    assert any(row["mean"] is not None for row in rows) and any(row["mean"] is None for row in rows)


def test_types_do_not_depend_on_what_the_runs_hold(output: Path, tmp_path: Path) -> None:
    shutil.rmtree(output / "run-1")
    assert call(output, tmp_path / "none.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "none.parquet").schema == decision_schema()
    assert decision_schema().field("decided_at").type == pa.timestamp("us", tz="UTC")


def test_a_table_of_text_reads_as_the_other_one(output: Path, tmp_path: Path) -> None:
    report = json.loads(call(output, tmp_path / "a.csv", "--json").stdout)
    assert call(output, tmp_path / "a.parquet").exit_code == 0
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        texts = list(csv.DictReader(file))
    assert len(texts) == len(rows) == report["rows"]
    for text, row in zip(texts, rows, strict=True):
        for name in ("sentence", "observed", "rule", "outcome"):
            assert text[name] == (row[name] or "")
        assert text["mean"] == "" if row["mean"] is None else float(text["mean"]) == row["mean"]
        assert text["decides"] == ("" if row["decides"] is None else str(row["decides"]).lower())
    assert any("," in text["sentence"] and "<b>whatever</b> |" in text["sentence"] for text in texts)


def test_a_damaged_run_is_named_and_hides_no_other(output: Path, tmp_path: Path) -> None:
    broken = output / "run-3"
    shutil.copytree(output / "run-1", broken)
    (broken / "decisions" / "02-fairness.json").write_text("{", encoding="utf-8")
    result = call(output, tmp_path / "a.csv")
    assert result.exit_code == EXIT_FAULT and "not in it: run-3" in result.output
    assert "Traceback" not in result.output
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert {row["run"] for row in csv.DictReader(file)} == {"run-1"}


def test_unusable_input_says_what_to_do(output: Path, tmp_path: Path) -> None:
    for to, where, told in (
        (tmp_path / "a.xlsx", output, ".csv or .parquet"),
        (tmp_path / "a", output, "no ending"),
        (tmp_path / "a.csv", tmp_path / "nowhere", "no such folder"),
        (output / "run-1" / "request.yaml" / "a.csv", output, "a place that can be written to"),
    ):
        result = call(where, to)
        assert result.exit_code == EXIT_INPUT and told in result.output, result.output
    (tmp_path / "empty").mkdir()
    assert "no dossier in it" in call(tmp_path / "empty", tmp_path / "a.csv").output
