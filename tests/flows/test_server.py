"""On a server, a run shows its decisions, its progress and its learning curves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from data_contracts.settings_file import load_settings
from flows.running import run_here
from tests.flows.conftest import ESCALATES, REFERENCE, WriteRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


def read_server(run_id: str) -> tuple[dict[str, Any], Any]:
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


def test_what_a_person_sees_in_the_ui(
    write_run: WriteRun, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    settings = load_settings(write_run(rows, policy={**ESCALATES, "margin": 0.0}, full=REFERENCE))
    report = run_here(settings, quiet=True)
    artifacts, flow_run = read_server(report.run_id)
    assert flow_run.state.name == "FullUnjustified"
    assert flow_run.state.type.value == "COMPLETED"
    assert flow_run.name == "small"
    assert {
        "decisions", "gate-contract", "gate-power", "gate-need", "gate-fit", "gate-fairness",
        "gate-quality", "gate-escalation", "gate-justification",
        "curve-pilot-1-lora-r8", "curve-full", "pilot-1-lora-r8-progress", "full-progress", "datasheet",
    } <= set(artifacts)  # fmt: skip
    assert "| escalation | ✓ pass |" in artifacts["decisions"].data
    assert report.dossier in artifacts["decisions"].data
    assert "## Which remedies were spent?" in artifacts["explanation"].data
    assert "## Labels in train" in artifacts["datasheet"].data
    assert "data:image/svg+xml;base64," in artifacts["curve-pilot-1-lora-r8"].data
    assert artifacts["pilot-1-lora-r8-progress"].type == "progress"
    assert float(artifacts["pilot-1-lora-r8-progress"].data) == 100.0
