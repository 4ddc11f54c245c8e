"""A dossier of a run that went all the way to full fine-tuning, made without any training."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.records.base import Cost, FolderRecord, Record
from data_contracts.records.decision import Decision, Outcome, RunReport
from data_contracts.records.evidence import (
    ArtifactKind,
    CurvePoint,
    Environment,
    MetricValue,
    RunRequest,
    ScoringEvidence,
    SeenTokens,
    TrainingConditions,
    TrainingEvidence,
)
from data_contracts.records.permit import Redemption
from data_contracts.records.policy import ApprovalRule, Policy
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings, RunSettings, TrainingSettings
from data_contracts.records.snapshot import Split
from data_contracts.records.tables import TableFile
from tasks.decisions.gates import (
    ScoredRows,
    decide_escalation,
    decide_fairness,
    decide_justification,
    decide_need,
    decide_quality,
    issue_permit,
)
from tasks.decisions.gates.escalation import subject_of
from tasks.evidence.dossier import Dossier
from tasks.stages.recording import sign_permit
from tests.tasks.decisions.conftest import (
    BRACKETED,
    DIGEST,
    ENOUGH,
    ISSUED,
    RUN,
    answer,
    points,
    right,
    trial,
)
from tests.tasks.evidence.made import decide

REASON = "launch in May, <b>whatever</b> | it takes"
SCORE = 0.8
"""Of the pilot: short of the lenient target 0.88 by 0.08."""


def settings_of(policy: Policy, **changes: Any) -> RunSettings:
    return RunSettings.model_validate(
        {
            "name": "made",
            "task": "classification",
            "model": {"source": "base"},
            "data": {"source": "rows.jsonl"},
            "policy": policy.model_dump(),
            **changes,
        }
    )


POLICY = Policy.model_validate(
    {
        "metric": "accuracy",
        "target": 0.9,
        "margin": 0.02,
        "minimum_uplift": 0.05,
        "minimum_gain_of_full": 0.01,
        "escalation": {"approval": ApprovalRule.RECORDED},
    }
)


def training(
    rung: str, *, seed: int = 17, permit: str | None = None, seconds: float = 3600.0
) -> TrainingEvidence:
    return TrainingEvidence(
        rung=Rung(rung),
        base_model=DIGEST,
        snapshot=DIGEST,
        training=TrainingSettings(),
        pilot=PilotSettings() if permit is None else None,
        full=None if permit is None else FullSettings(),
        start=None,
        replay=None,
        learning_rate=1e-3,
        seed=seed,
        conditions=TrainingConditions(
            device="cpu",
            torch_threads=1,
            deterministic_algorithms=True,
            processes=1,
            sharded=False,
            micro_batch_size=1,
            evaluation_batch_size=1,
            resumed_from_steps=(),
            incidents=(),
        ),
        steps=100,
        stopped_early=False,
        kept_step=100,
        rows_seen=100,
        supervised_tokens=100,
        truncated_rows=0,
        seen=SeenTokens(
            tokens=1, padding=0, supervised=1, supervised_a_pass=1, replayed_rows=0, packed=False, layout=""
        ),
        trainable_parameters=10,
        total_parameters=100,
        adapted_modules=(),
        curve=(
            CurvePoint(step=0, train_loss=None, tune_loss=2.5, learning_rate=0.0),
            CurvePoint(step=100, train_loss=0.75, tune_loss=1.25, learning_rate=1e-3),
        ),
        served=ArtifactKind.ADAPTER if permit is None else ArtifactKind.MODEL,
        artifact=FolderRecord(files=()),
        permit=permit,
        cost=Cost(seconds=seconds, cpu_seconds=2 * seconds, peak_memory_bytes=2**30),
    )


def scoring(rung: str, value: float, *, seed: int = 0, split: Split = Split.GATE) -> ScoringEvidence:
    """``seed`` makes the evidence of one seed another than that of the next."""
    return ScoringEvidence(
        rung=Rung(rung),
        artifact=DIGEST,
        snapshot=DIGEST,
        split=split,
        rows=1000,
        metrics=(MetricValue(name="accuracy", value=value, per_example=True),),
        scores=TableFile(path="scores.parquet", sha256=DIGEST, size_bytes=seed, texts=(), kept=DIGEST),
        method="asked",
        cost=Cost(seconds=1.0, cpu_seconds=1.0, peak_memory_bytes=2**20),
    )


@dataclass
class Written:
    """Writes what a run would have written."""

    dossier: Dossier

    def stage(self, name: str, record: Record) -> str:
        self.dossier.write_record(f"{name}/evidence.json", record)
        return record.digest()

    def decide(self, decision: Decision) -> Decision:
        decide(self.dossier, decision)
        return decision


def request_of(settings: dict[str, object]) -> RunRequest:
    environment = Environment(
        python="3.11",
        platform="Linux",
        processor="x",
        processor_count=2,
        memory_bytes=2**33,
        packages={},
        code=DIGEST,
    )
    return RunRequest(
        run_id=RUN,
        settings=settings,
        settings_digest=DIGEST,
        requested_by="somebody",
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        environment=environment,
    )


def report_of(dossier: Dossier, outcome: Outcome, artifact: str | None = None) -> RunReport:
    return RunReport(
        run_id=RUN,
        name="made",
        outcome=outcome,
        sentence="Full fine-tuning reached the target and is kept.",
        decisions=dossier.decisions(),
        accepted_artifact=artifact,
        seconds=60.0,
        peak_memory_bytes=2**30,
        dossier=str(dossier.folder),
    )


@pytest.fixture
def unended(tmp_path: Path) -> Written:
    """A request and nothing else."""
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    written = Written(Dossier(folder))
    settings = settings_of(POLICY, machine_hour_price=3.0)
    written.dossier.write_request(request_of(settings.model_dump(mode="json")))
    return written


@pytest.fixture
def escalated(unended: Written) -> Written:
    """Need, an unfair pilot and its sweep, five seeds, an approval, a permit, full and its justification."""
    base = _scored(unended, "baseline", 0.5, ["baseline"])
    unended.decide(decide_need(base, distance=None, policy=POLICY, run_id=RUN, alpha=0.05))
    folder = "pilot-1-lora-r16"
    unended.stage(folder, training("lora"))
    tuned = unended.stage(f"{folder}/tune", scoring("lora", SCORE, split=Split.TUNE))
    tried = [trial(evidence=(tuned,)), trial(2, settings={"rank": 32}, evidence=(DIGEST,))]

    def fairness(*swept: Any) -> Decision:
        return decide_fairness(
            tried, swept, unquantised_fits=True, must_be_fair=False, policy=POLICY, run_id=RUN
        )

    unended.decide(fairness())
    sweep = points(**BRACKETED)
    for number, point in enumerate(sweep, 1):
        unended.stage(f"sweep/{number:02}-{point.learning_rate:g}", point)
    fair = unended.decide(fairness(*sweep))
    names = [folder, *(f"{folder}-seed-{seed}" for seed in range(18, 22))]
    for seed, name in enumerate(names[1:], 18):
        unended.stage(name, training("lora", seed=seed))
    pilot = _scored(unended, "lora", SCORE, names)
    quality = unended.decide(
        decide_quality(pilot, base, policy=POLICY, run_id=RUN, alpha=0.05, look=Split.GATE)
    )
    approval = answer(reason=REASON, subject=subject_of(quality))
    facts = ENOUGH.model_copy(update={"processor_hours_of_full": 2.0, "approval": approval})
    escalation = unended.decide(decide_escalation(quality, fair, facts, policy=POLICY, run_id=RUN))
    permit = issue_permit(escalation, **ISSUED)
    unended.dossier.write_permit(sign_permit(permit))
    redemption = Redemption(permit=permit.digest(), run_id=RUN, seed=17, training=DIGEST)
    unended.dossier.write_record("redemptions/seed-17.json", redemption)
    unended.stage("full", training("full", permit=permit.digest(), seconds=7200.0))
    full = _scored(unended, "full", 0.95, ["full"])
    first = replace(pilot, scores=pilot.scores[:1], evidence=pilot.evidence[:1])
    unended.decide(
        decide_justification(full, first, base, policy=POLICY, run_id=RUN, alpha=0.05, look=Split.GATE)
    )
    return unended


def _scored(written: Written, rung: str, share: float, names: list[str]) -> ScoredRows:
    evidence = tuple(
        written.stage(f"{name}/gate", scoring(rung, share, seed=seed)) for seed, name in enumerate(names)
    )
    scored = right(share, seeds=len(names), name=rung)
    return replace(scored, scores=np.asarray(scored.scores), evidence=evidence)
