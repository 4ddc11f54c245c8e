"""One run that went all the way to full fine-tuning, looked at from every side."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands.failing import EXIT_FAULT, EXIT_REQUIREMENT_UNMET
from tasks.evidence.dossier import Dossier, read_permit
from tests.flows.conftest import ESCALATES, REFERENCE, small_settings
from tests.flows.later_version import GAINED, run_by, write_later_version

pytestmark = pytest.mark.slow


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@dataclass(frozen=True)
class Ended:
    """What the run left."""

    output: str
    """The folder of runs, of which it is the only one."""
    report: dict[str, Any]
    artifacts: dict[str, Any]
    """What the server shows of it, by key."""
    flow_run: Any

    @property
    def dossier(self) -> Path:
        return Path(self.report["dossier"])


@pytest.fixture(scope="module")
def ended(
    api: str, short_minilm: Path, rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Ended:
    folder = tmp_path_factory.mktemp("one-run")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    policy = {**ESCALATES, "margin": 0.0}
    settings = small_settings(folder / "rows.jsonl", str(short_minilm), policy=policy, full=REFERENCE)
    (folder / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    result = invoke("run", str(folder / "run.yaml"), "--json", "--require", "accepted")
    assert result.exit_code == EXIT_REQUIREMENT_UNMET, result.output
    artifacts, flow_run = read_server()
    return Ended(str(folder / "runs"), json.loads(result.stdout), artifacts, flow_run)


def read_server() -> tuple[dict[str, Any], Any]:
    """The artifacts by key, and the flow run, of the newest flow run."""
    from prefect import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
    from prefect.client.schemas.sorting import FlowRunSort

    async def read() -> tuple[dict[str, Any], Any]:
        async with get_client() as client:
            (flow_run, *_) = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
            # Other tests' runs left artifacts too, more than one answer holds.
            mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
            artifacts = await client.read_artifacts(artifact_filter=mine, limit=200)
            return {str(artifact.key): artifact for artifact in artifacts}, flow_run

    return asyncio.run(read())


def test_it_ends_in_its_outcome_after_every_gate(ended: Ended) -> None:
    assert ended.report["outcome"] == "full_unjustified"
    assert [decision["gate"] for decision in ended.report["decisions"]] == [
        "contract", "power", "need", "fit", "fairness", "fairness", "quality", "escalation", "justification",
    ]  # fmt: skip


def test_it_can_be_listed_and_shown(ended: Ended) -> None:
    listed = json.loads(invoke("runs", "-o", ended.output, "--json").stdout)
    assert [entry["run_id"] for entry in listed] == [ended.report["run_id"]]
    shown = invoke("show", ended.report["run_id"], "-o", ended.output)
    assert shown.exit_code == 0
    assert "full_unjustified" in shown.output and "demonstrated" in shown.output


def test_full_was_trained_under_its_permit(ended: Ended) -> None:
    training = json.loads((ended.dossier / "full" / "evidence.json").read_bytes())
    permit = read_permit((ended.dossier / "full" / "permit.json").read_bytes())
    assert permit.run_id == ended.report["run_id"] and permit.digest() == training["permit"]
    assert permit.decision.gate.value == "escalation" and permit.price_processor_hours > 0.0
    assert training["cost"]["peak_memory_bytes"] > 2**28


def test_it_can_be_explained(ended: Ended) -> None:
    explained = json.loads(invoke("explain", str(ended.dossier), "--json").stdout)
    files = {claim["file"] for answer in explained["answers"] for claim in answer["claims"]}
    assert all((ended.dossier / file).exists() for file in files), files
    told = invoke("explain", str(ended.dossier), "--markdown").output
    assert "gate justification, level (not held)" in told
    assert {step["title"] for step in explained["way"]} >= {"sweep/01-1e-06", "full", "full/gate"}


def test_its_page_shows_intervals_and_no_text(ended: Ended, rows: list[dict[str, str]]) -> None:
    page = (ended.dossier / "report.html").read_text(encoding="utf-8")
    assert page.count('<figure class="interval">') == 7
    assert not [row["text"] for row in rows if row["text"] in page]
    assert not (ended.dossier / "MODEL_CARD.md").exists()
    assert "report.html" in {file.path for file in Dossier(ended.dossier).manifest().files}


def test_it_verifies_and_whoever_looks_is_told_that_nobody_signed(ended: Ended) -> None:
    verified = invoke("verify", str(ended.dossier), "--rescore", "20", "--json")
    assert verified.exit_code == 0, verified.output
    (found,) = json.loads(verified.stdout)
    assert [check["check"] for check in found["checks"] if not check["looked_at"]] == []
    assert "unsigned" in found["checks"][0]["note"] and not found["signed"]
    for command in (
        ("runs", "-o", ended.output),
        ("show", str(ended.dossier)),
        ("explain", str(ended.dossier)),
    ):
        assert "unsigned" in invoke(*command).output, command
    page = (ended.dossier / "report.html").read_text(encoding="utf-8")
    assert "unsigned: nothing tells who wrote it" in page


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version in which every record has one field more."""
    folder = tmp_path_factory.mktemp("later")
    assert write_later_version(folder) > 50
    return folder


def test_a_later_version_finds_no_fault(ended: Ended, later: Path) -> None:
    done = run_by(later, "verify", str(ended.dossier), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(done.stdout)
    assert GAINED in found, "this is not the later version"
    assert [check["check"] for check in found["checks"] if not check["looked_at"]] == []


def test_a_later_version_finds_a_field_that_somebody_added(ended: Ended, later: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ended.dossier, tmp_path / Path(ended.dossier).name))
    registration = json.loads((copy / "registration.json").read_bytes())
    changed = json.dumps({**registration, GAINED: 8})
    (copy / "registration.json").write_text(changed, encoding="utf-8")
    done = run_by(later, "verify", str(copy), "--ledger", f"{ended.output}/ledger.sqlite", "--json")
    assert done.returncode == EXIT_FAULT, done.stdout
    (found,) = json.loads(done.stdout)
    faulty = {check["check"] for check in found["checks"] if check["faults"]}
    assert "files" in faulty and "question" in faulty


def test_a_person_sees_it_in_the_ui(ended: Ended) -> None:
    artifacts, flow_run = ended.artifacts, ended.flow_run
    assert flow_run.state.name == "FullUnjustified"
    assert flow_run.state.type.value == "COMPLETED"
    assert flow_run.name == "small"
    assert {
        "decisions", "gate-contract", "gate-power", "gate-need", "gate-fit", "gate-fairness",
        "gate-quality", "gate-escalation", "gate-justification",
        "curve-pilot-1-lora-r8", "curve-full", "pilot-1-lora-r8-progress", "full-progress", "datasheet",
    } <= set(artifacts)  # fmt: skip
    assert "| escalation | ✓ pass |" in artifacts["decisions"].data
    assert ended.report["dossier"] in artifacts["decisions"].data
    assert "## Which remedies were spent?" in artifacts["explanation"].data
    assert "## Labels in train" in artifacts["datasheet"].data
    assert "data:image/svg+xml;base64," in artifacts["curve-pilot-1-lora-r8"].data
    assert artifacts["pilot-1-lora-r8-progress"].type == "progress"
    assert float(artifacts["pilot-1-lora-r8-progress"].data) == 100.0
