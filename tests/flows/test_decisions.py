"""The policy's decisions on real runs: remedies, seeds, looks, approval, guardrails."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tests.conftest import SMOLLM2
from tests.flows.conftest import ESCALATES, REFERENCE, WriteRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

Rows = list[dict[str, str]]

FAIR: dict[str, Any] = {
    "extends": "default",
    "target": 0.97,
    "power": {"on_breach": "warn"},
    "escalation": {"minimum_train_rows": 100_000},
    "remedies": {"maximum_rates": 4, "maximum_rank": 16},
}
"""The default policy on too few rows: a pilot that is short gets every remedy, and full is denied."""


def run(config: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def gates(report: dict[str, Any]) -> list[str]:
    return [decision["gate"] for decision in report["decisions"]]


def last(report: dict[str, Any], gate: str) -> dict[str, Any]:
    found: dict[str, Any] = [each for each in report["decisions"] if each["gate"] == gate][-1]
    return found


def rule(decision: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in decision["rules"] if each["name"] == name)
    return found


def test_a_short_pilot_gets_its_remedies_and_seeds_before_it_is_judged(
    write_run: WriteRun, rows: Rows
) -> None:
    config = write_run(
        rows,
        policy=FAIR,
        pilot={"target_modules": ["query"], "method": "qlora", "learning_rate": 1e-4},
        training={"max_steps": 30},
        full={"learning_rate": 1e-4},
    )
    report = run(config)
    dossier = Path(report["dossier"])
    remedies = [each["remedy"] for each in report["decisions"] if each["gate"] == "fairness"]
    assert remedies[:2] == ["all_layers", "sweep"] and remedies[-1] is None
    assert set(remedies) <= {"all_layers", "sweep", "unquantise", "double_rank", None}
    assert "unquantise" in remedies
    folders = sorted(path.name for path in dossier.glob("pilot-*"))
    assert folders[0] == "pilot-1-qlora-r8" and any("-lora-r16" in name for name in folders)
    assert len(list(dossier.glob("sweep/*/evidence.json"))) in {3, 4}
    # Whether a remedy helped or the sweep ended at an edge, the run ended in an outcome of the ladder.
    if report["outcome"] == "escalation_denied":
        seeds = last(report, "quality")["rules"][0]["interval"]["seeds"]
        assert seeds == 5
        assert len([name for name in folders if "-seed-" in name]) == 4
        denied = last(report, "escalation")
        assert rule(denied, "a fair pilot, remedies spent")["verdict"] == "pass"
        assert rule(denied, "data enough for full")["verdict"] == "fail"
    else:
        assert report["outcome"] in {"pilot_invalid", "inconclusive"}
    assert not (dossier / "full").exists() and not (dossier / "permit.json").exists()
    # The question stood before the first score.
    registration = json.loads((dossier / "registration.json").read_bytes())
    assert registration["looks"][0]["rows"] == rows_in(dossier, "gate")
    again = run(config)
    assert again["outcome"] == report["outcome"] and gates(again) == gates(report)
    # The same work keeps the registration that stood before its first score.
    assert json.loads((Path(again["dossier"]) / "registration.json").read_bytes()) == registration


def rows_in(dossier: Path, split: str) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(dossier / "snapshot" / f"{split}.parquet").num_rows)


def test_a_person_allows_or_denies_and_the_same_command_goes_on(
    write_run: WriteRun, rows: Rows, tmp_path: Path
) -> None:
    config = write_run(rows, policy={**ESCALATES, "escalation": {"approval": "recorded"}}, full=REFERENCE)
    waiting = run(config)
    assert waiting["outcome"] == "awaiting_approval"
    assert not (Path(waiting["dossier"]) / "permit.json").exists()
    output = str(tmp_path / "runs")

    def answer(word: str, name: str, reason: str) -> Any:
        options = ["--name", name, "--reason", reason, "-o", output]
        return CliRunner().invoke(app, [word, waiting["run_id"], *options])

    request = (Path(waiting["dossier"]) / "request.yaml").read_text(encoding="utf-8")
    requester = request.split("requested_by: ")[1].splitlines()[0]
    assert answer("approve", requester, "mine").exit_code == EXIT_INPUT
    assert answer("approve", "Ada", "  ").exit_code == EXIT_INPUT
    assert answer("deny", "Ada", "over budget").exit_code == 0
    denied = run(config)
    assert denied["outcome"] == "escalation_denied"
    assert "over budget" in rule(last(denied, "escalation"), "approval")["sentence"]
    assert answer("approve", "Ada", "launch in May").exit_code == 0
    allowed = run(config)
    assert allowed["outcome"] in {"full_accepted", "full_unjustified"}
    assert "Ada" in rule(last(allowed, "escalation"), "approval")["sentence"]
    refused = CliRunner().invoke(
        app, ["approve", allowed["run_id"], "--name", "Ada", "--reason", "again", "-o", output]
    )
    assert refused.exit_code == EXIT_INPUT and "awaiting_approval" in refused.output


def test_looks_are_counted_over_runs_and_end_at_the_horizon(write_run: WriteRun, rows: Rows) -> None:
    def look(seed: int) -> dict[str, Any]:
        policy = {
            "target": 0.99,
            "looks": {"horizon": 2, "on_exhausted": "block"},
        }
        return run(write_run(rows, policy=policy, training={"max_steps": 3}, seed=seed))

    assert [look(seed)["outcome"] for seed in (1, 2)] == ["pilot_invalid"] * 2
    assert look(1)["outcome"] == "pilot_invalid"  # the same work again is no new look
    exhausted = look(3)
    assert exhausted["outcome"] == "underpowered"
    assert "splits.rotation" in exhausted["decisions"][-1]["sentence"]
    assert gates(exhausted) == ["contract", "power"]


def test_a_doubtful_look_is_followed_by_one_at_the_sealed_reserve(write_run: WriteRun, rows: Rows) -> None:
    # The level is nearly certain to lie between the bounds, which a wide gap to the margin keeps apart.
    config = write_run(
        rows,
        splits={"train": 0.5, "tune": 0.1, "reserve": 0.2},
        policy={"target": 0.70, "margin": 0.01, "alpha": 0.0001, "need": {"examples_in_prompt": 0}},
        training={"max_steps": 60},
    )
    report = run(config)
    looks = [each["look"] for each in report["decisions"] if each["gate"] == "quality"]
    assert looks == ["gate", "reserve"] or last(report, "quality")["verdict"] != "inconclusive"
    if looks == ["gate", "reserve"]:
        assert report["outcome"] == "inconclusive"
        alphas = {
            each["rules"][0]["interval"]["alpha"] for each in report["decisions"] if each["gate"] == "quality"
        }
        assert alphas == {0.00005}


def test_guardrails_are_measured_and_a_slice_that_never_occurs_is_refused(
    write_run: WriteRun, rows: Rows
) -> None:
    marked = [{**row, "channel": "phone" if index % 2 else "mail"} for index, row in enumerate(rows)]

    def config(value: str) -> Path:
        slices = [{"name": "by phone", "column": "channel", "equals": value, "margin": 0.2}]
        serving = {"maximum_latency_ratio": 1000.0, "maximum_artifact_bytes": 1}
        return write_run(
            marked,
            data={"columns": {"keep": ["channel"]}},
            policy={
                "target": 0.99,
                "guardrails": {"slices": slices, "serving": serving},
            },
            training={"max_steps": 4},
        )

    report = run(config("phone"))
    judged = last(report, "quality")
    assert rule(judged, "guardrail: by phone")["interval"]["rows"] < rows_in(Path(report["dossier"]), "gate")
    assert rule(judged, "guardrail: latency")["verdict"] == "pass"
    too_large = rule(judged, "guardrail: artifact size")
    assert (too_large["verdict"], too_large["decides"]) == ("fail", False)
    refused = CliRunner().invoke(app, ["run", str(config("telex"))])
    assert refused.exit_code == EXIT_INPUT and "by phone" in refused.output


def test_a_chat_model_is_asked_with_examples_and_judged_by_what_it_writes(
    write_run: WriteRun, smollm2: object, tmp_path: Path
) -> None:
    words = [
        f"{first}{second}" for first in "bcdfghjklmnprstvwz" for second in ("at", "en", "ip", "ot", "ug")
    ]
    rows = [{"prompt": f"Say {word} twice.", "completion": f"{word} {word}"} for word in words]
    config = write_run(
        rows,
        task="instruction",
        model={"source": SMOLLM2, "max_tokens": 32},
        splits={"train": 0.5, "tune": 0.1, "reserve": 0.0},
        policy={
            "metric": "word_error_rate",
            "target": 0.02,
            "margin": 0.01,
            "need": {"examples_in_prompt": 2},
            "guardrails": {"answer_format": {"pattern": "[a-z]+ [a-z]+", "on_breach": "warn"}},
        },
        pilot={"rank": 8, "alpha": 16, "learning_rate": 2e-3},
        training={"max_steps": 3, "effective_batch_size": 8, "curve_points": 2},
        generation={"max_new_tokens": 8, "batch_size": 64},
    )
    report = run(config)
    dossier = Path(report["dossier"])
    assert gates(report)[:4] == ["contract", "power", "need", "fit"]
    assert "word_error_rate" in rule(last(report, "need"), "level of the base")["observed"]
    import pyarrow.parquet as pq

    answers = pq.read_table(dossier / "pilot-1-lora-r8" / "gate" / "scores.parquet").to_pylist()
    assert len(answers) == rows_in(dossier, "gate") and {"answer", "reference"} <= set(answers[0])
    shown = list(dossier.glob("baseline*/tune/evidence.json"))
    methods = {json.loads(path.read_bytes())["method"] for path in shown}
    assert "the base model, asked with 2 worked examples" in methods
