"""What promotion and retraining make of what they are asked, before Prefect sees it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.records.decision import Outcome, RunReport
from data_contracts.records.registry import REASON_LENGTH
from data_contracts.records.retraining import RetrainingOutcome, RetrainingPlan, RetrainingReport
from data_contracts.records.settings import RunSettings
from flows import retrain
from flows.command_line import app
from tasks.evidence.dossier import run_among
from tests.flows.conftest import small_settings


def begun(folder: Path, run: str) -> Path:
    (folder / run).mkdir(parents=True)
    (folder / run / "request.yaml").write_text("{}", encoding="utf-8")
    return folder / run


def promoted(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["promote", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_run_is_named_by_its_id_its_beginning_or_its_path(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    path = begun(output, "topics-20261126-1")
    begun(output, "other-20261126-1")
    for named in ("topics-20261126-1", "topics", str(path), f"{path}/", f"{path}/../topics-20261126-1"):
        assert run_among(output, named) == "topics-20261126-1"


def test_what_cannot_be_promoted_is_told_before_anything_starts(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    begun(output, "topics-20261126-1")
    away = begun(tmp_path / "away", "topics-20261126-2")
    code, refused = promoted(str(away), "--output", str(output))
    assert (code, refused["error"]) == (2, "InputError") and f"--output {away.parent}" in refused["message"]
    code, refused = promoted("Nobody/knows it", "--output", str(output))
    assert (code, refused["error"]) == (2, "InputError") and "0 runs" in refused["message"]
    code, refused = promoted("topics", "--output", str(output), "--reason", "x" * (REASON_LENGTH + 1))
    assert (code, refused["error"]) == (2, "InputError") and "2,001 characters" in refused["message"]


def test_a_reason_of_many_sentences_is_cut_to_what_is_kept() -> None:
    plan = RetrainingPlan(train=True, reasons=tuple(f"Reason {number}." for number in range(1000)))
    cut = retrain.reason_of("Nightly.", plan)
    assert len(cut) == REASON_LENGTH and cut.startswith("Nightly. Reason 0. Reason 1.") and cut.endswith("…")
    assert retrain.reason_of("", RetrainingPlan(train=True, reasons=("One.",))) == "One."


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (Outcome.AWAITING_APPROVAL, RetrainingOutcome.AWAITING_APPROVAL),
        (Outcome.DATA_REJECTED, RetrainingOutcome.DATA_REJECTED),
        (Outcome.INCONCLUSIVE, RetrainingOutcome.NOT_ACCEPTED),
    ],
)
def test_a_run_that_waits_for_an_answer_is_an_end_of_its_own(
    end: Outcome, told: RetrainingOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = RunReport(
        run_id="small-1",
        name="small",
        outcome=end,
        sentence="It ended.",
        decisions=(),
        accepted_artifact=None,
        seconds=1.0,
        peak_memory_bytes=1,
        dossier=str(tmp_path / "small-1"),
    )
    monkeypatch.setattr(retrain, "finetune", lambda settings: ended)
    settings = RunSettings.model_validate(small_settings(tmp_path / "rows.jsonl", output=str(tmp_path)))
    report: RetrainingReport = retrain.retrain_once(settings, "")
    assert report.outcome is told
    waits = end is Outcome.AWAITING_APPROVAL
    assert ("`lorafirst promote small-1`" in report.sentence) is waits
