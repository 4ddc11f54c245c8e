"""Other rungs through a whole run: what was asked for is what is trained, permitted, served and scored."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.records.rungs import Rung
from flows.command_line import app
from tasks.evidence.dossier import read_permit
from tasks.training.methods.kinds import AdapterMethod
from tests.flows.conftest import ESCALATES, NEVER_FULL, REFERENCE, WriteRun
from tests.tasks.training.methods.test_registry import Install, ia3
from tests.tasks.training.methods.test_registry import install as install

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def run(config: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", str(config), "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def read(file: Path) -> Any:
    return json.loads(file.read_bytes())


def test_hybrid_goes_on_from_a_merged_pilot_under_a_permit_of_its_own(
    write_run: WriteRun, rows: list[dict[str, str]]
) -> None:
    report = run(
        write_run(
            rows,
            policy={**ESCALATES, "margin": 0.0},
            pilot={"method": "dora", "merge": True},
            full={**REFERENCE, "method": "hybrid", "layers": 2},
        )
    )
    assert report["outcome"] == "full_unjustified"
    dossier = Path(report["dossier"])
    (pilot,) = [folder for folder in dossier.glob("pilot-1-dora-r8*") if folder.is_dir()][:1]
    trained = read(pilot / "evidence.json")
    assert trained["served"] == "model" and trained["permit"] is None
    assert (pilot / "adapter" / "adapter_config.json").exists() and (pilot / "model" / "config.json").exists()
    assert read(pilot / "gate" / "evidence.json")["artifact"] != trained["base_model"]
    assert "whole model in float32, trained by dora" in read(pilot / "gate" / "evidence.json")["method"]
    updated = read(dossier / "hybrid" / "evidence.json")
    permit = read_permit((dossier / "permit.json").read_bytes())
    assert permit.rung == updated["rung"] == "hybrid"
    assert updated["permit"] is not None and updated["full"]["layers"] == 2
    assert 0.1 < updated["trainable_parameters"] / updated["total_parameters"] < 0.3
    assert not (dossier / "full").exists()


def test_a_bottleneck_that_is_short_gives_lora_its_turn(
    write_run: WriteRun, rows: list[dict[str, str]]
) -> None:
    """Bottlenecks sit at two places of a block: what they cannot do says little of LoRA."""
    report = run(
        write_run(
            rows,
            policy={**ESCALATES, "remedies": {"allowed": ["all_layers", "sweep"], "maximum_pilots": 2}},
            pilot={"method": "adapter"},
            full=REFERENCE,
        )
    )
    dossier = Path(report["dossier"])
    assert report["outcome"] == "pilot_invalid"
    assert (dossier / "pilot-1-adapter-r8").exists() and (dossier / "pilot-2-lora-r8").exists()
    assert not (dossier / "permit.json").exists()


def test_a_rung_of_an_installed_package_is_trained_as_it_was_asked_for(
    write_run: WriteRun, rows: list[dict[str, str]], install: Install
) -> None:
    install(AdapterMethod(Rung("ia3"), "scaled activations", ia3))
    policy = {**NEVER_FULL, "remedies": {"maximum_pilots": 1}}
    report = run(write_run(rows, policy=policy, pilot={"method": "ia3", "learning_rate": 0.02}))
    dossier = Path(report["dossier"])
    assert report["outcome"] == "pilot_invalid" and not (dossier / "permit.json").exists()
    trained = read(dossier / "pilot-1-ia3-r8" / "evidence.json")
    assert trained["rung"] == "ia3" and trained["permit"] is None
    settings = read(dossier / "pilot-1-ia3-r8" / "adapter" / "adapter_config.json")
    assert settings["peft_type"] == "IA3"
