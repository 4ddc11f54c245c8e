"""Continued pretraining, from settings to outcome, with general rows replayed."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.dossier import Dossier
from tasks.evidence.redacting import Author, redact_dossier
from tasks.evidence.redaction import still_holding
from tests.flows.conftest import WriteRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def run(config: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def texts_run(write_run: WriteRun, model: Path, texts: list[str], **changes: Any) -> Path:
    settings: dict[str, Any] = {
        "task": "completion",
        "model": {"source": str(model), "max_tokens": 24},
        "splits": {"train": 0.5, "tune": 0.1, "reserve": 0.0},
        "policy": {
            "metric": "completion_loss",
            "target": 11.0,
            "margin": 0.1,
            "power": {"standard_deviation": 2.0},
            # Walked through, and wide enough for a random model on few steps.
            "guardrails": {
                "forgetting": {"margin": 20.0},
                "serving": {"maximum_latency_ratio": 50.0},
                "slices": [{"name": "questions", "column": "question", "matches": r"\?", "margin": 5.0}],
            },
        },
        "pilot": {"rank": 8, "alpha": 16, "learning_rate": 3e-2},
        "training": {"max_steps": 30, "effective_batch_size": 16, "curve_points": 2},
        "generation": {"max_new_tokens": 8},
    }
    merged = {
        key: {**settings.get(key, {}), **value} if isinstance(value, dict) else value
        for key, value in {**settings, **changes}.items()
    }
    return write_run([{"text": text} for text in texts], **merged)


def evidence(dossier: Path, *parts: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dossier.joinpath(*parts, "evidence.json").read_bytes())
    return found


def test_a_model_goes_on_learning_texts_while_general_rows_are_replayed(
    write_run: WriteRun, tiny_llama: Path, dialogues: list[str], tmp_path: Path
) -> None:
    own, others = dialogues[:300], dialogues[1000:1400]
    general = tmp_path / "general.jsonl"
    # Own rows, and own rows with a word more, lie among the general ones.
    mixed = [*own, *(f"{text} indeed" for text in own), *others]
    general.write_text("".join(json.dumps({"body": text}) + "\n" for text in mixed), encoding="utf-8")
    replay = {"source": "general.jsonl", "share": 0.25, "columns": {"text": "body"}}
    config = texts_run(write_run, tiny_llama, own, training={"replay": replay, "packing": "on"})
    report = run(config)
    dossier = Path(report["dossier"])
    assert report["outcome"] == "pilot_accepted"
    rules = {rule["name"]: rule for each in report["decisions"] for rule in each["rules"]}
    assert "completion_loss" in rules["level of the base"]["observed"]
    base, pilot = (evidence(dossier, each, "gate") for each in ("baseline", "pilot-1-lora-r8"))
    before, after = ({m["name"]: m["value"] for m in each["metrics"]} for each in (base, pilot))
    for figure in ("completion_loss", "perplexity", "bits_per_byte"):
        assert after[figure] < before[figure]
    assert base["method"] == "the base model, as it goes on with each text"

    rows = {split: ids_of(dossier / "snapshot" / f"{split}.parquet") for split in ("train", "tune", "gate")}
    assert pilot["rows"] == len(rows["gate"])
    assert ids_of(dossier / "pilot-1-lora-r8" / "gate" / "scores.parquet") == rows["gate"]
    replayed = pq.read_table(dossier / "replay" / "replayed.parquet")
    ids = set(replayed["row_id"].to_pylist())
    assert ids & set(rows["train"]) and not ids & {*rows["gate"], *rows["tune"]}
    held_out = pq.read_table(dossier / "snapshot" / "gate.parquet")["text"].to_pylist()
    # Of a short text one word more is much; the rule compares triples of words.
    long = {f"{text} indeed" for text in held_out if len(text.split()) > 15}
    assert long and not long & set(replayed["text"].to_pylist())
    assert evidence(dossier, "replay")["rows_like_gate"] > 0

    trained = evidence(dossier, "pilot-1-lora-r8")
    seen = trained["seen"]
    assert trained["rows_seen"] == 30 * 16 and seen["replayed_rows"] == 30 * 4
    assert seen["packed"] and seen["padding"] == 0
    assert seen["supervised"] == trained["supervised_tokens"] < seen["tokens"]

    # Texts that nobody answered, and general rows that were replayed, can be taken out too.
    copy = Path(shutil.copytree(dossier, tmp_path / "copy" / dossier.name, copy_function=os.link))
    assert redact_dossier(Dossier(copy), Author("Ada", "why", datetime.now(UTC))) is not None
    assert verify_dossier(copy).faults == () and still_holding(Dossier(copy)) == ()
    assert pq.read_schema(copy / "replay" / "replayed.parquet").names == ["row_id", "row_commitment"]

    again = run(config)
    assert (Path(again["dossier"]) / "pilot-1-lora-r8" / "evidence.json").read_bytes() == (
        dossier / "pilot-1-lora-r8" / "evidence.json"
    ).read_bytes()
    # Another general text is another training.
    general.write_text(json.dumps({"body": " ".join(others[:3])}) + "\n" + general.read_text())
    changed = run(config)
    assert evidence(Path(changed["dossier"]), "replay")["rows_read"] == len(mixed) + 1
    assert trained["artifact"] != evidence(Path(changed["dossier"]), "pilot-1-lora-r8")["artifact"]


def ids_of(path: Path) -> list[str]:
    return list(pq.read_table(path, columns=["row_id"])[0].to_pylist())


def refused(config: Path, *told: str) -> None:
    result = CliRunner().invoke(app, ["run", str(config)])
    assert result.exit_code == EXIT_INPUT, result.output
    assert "Traceback" not in result.output
    for word in (*told, "expected:", "found:", "to do:"):
        assert word in " ".join(result.output.split()), result.output


def test_what_cannot_be_is_refused_before_anything_is_trained(
    write_run: WriteRun, tiny_llama: Path, minilm: Any, dialogues: list[str], tmp_path: Path
) -> None:
    texts = dialogues[:200]
    refused(texts_run(write_run, Path(minilm.folder), texts), "a model that generates text", "completion")
    replay = {"source": "nowhere.jsonl"}
    refused(texts_run(write_run, tiny_llama, texts, training={"replay": replay}), "nowhere.jsonl")
    # General rows of which none may be replayed, because a gate judges by them.
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps({"text": "  "}) + "\n", encoding="utf-8")
    replay = {"source": "held.jsonl"}
    config = texts_run(write_run, tiny_llama, texts, training={"replay": replay})
    refused(config, "training.replay.source", "none of 1")
    assert not list((tmp_path / "runs").glob("*/pilot-*"))
