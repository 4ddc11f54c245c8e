"""The stage that scores one artifact on the gate rows, loaded as it would be served."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.base import FileRecord, FolderRecord, digest_file
from data_contracts.records.evidence import BaseModelRecord, Rung, ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import Snapshot, Split
from tasks.decisions.gates import ScoredSplit
from tasks.evidence.environment import SCORING_PACKAGES, code_digest, package_versions
from tasks.evidence.scores import read_scores, write_scores
from tasks.evidence.store import StageKey, Stored
from tasks.stages.context import RunContext
from tasks.stages.measure import measured
from tasks.stages.rows import encoded, head_of, tokenizer_of
from tasks.stages.training import ARTIFACT
from tasks.stages.watching import StageProgress, listener
from tasks.training.score import score

_METHODS = {
    (Rung.BASELINE, Task.CLASSIFICATION): "linear probe on the frozen base's mean-pooled hidden states",
    (Rung.BASELINE, Task.INSTRUCTION): "the base model, asked with the prompt alone",
    (Rung.LORA, Task.CLASSIFICATION): "adapter on the float32 base",
    (Rung.LORA, Task.INSTRUCTION): "adapter on the float32 base, greedy answers",
    (Rung.QLORA, Task.CLASSIFICATION): "adapter on the base in 4-bit NF4",
    (Rung.QLORA, Task.INSTRUCTION): "adapter on the base in 4-bit NF4, greedy answers",
    (Rung.FULL, Task.CLASSIFICATION): "the fully fine-tuned model in float32",
    (Rung.FULL, Task.INSTRUCTION): "the fully fine-tuned model in float32, greedy answers",
}

_READABLE = {
    Rung.BASELINE: "the baseline",
    Rung.LORA: "the LoRA pilot",
    Rung.QLORA: "the QLoRA pilot",
    Rung.FULL: "full fine-tuning",
}


@task(name="score", task_run_name="score {rung.value}", cache_policy=NO_CACHE)
def score_artifact(
    context: RunContext,
    base: BaseModelRecord,
    snapshot: Stored[Snapshot],
    rung: Rung,
    trained: Path | None,
    dossier_folder: str,
) -> Stored[ScoringEvidence]:
    """Scores on ``gate``. ``trained`` is the stage folder of what was trained, ``None`` for the bare base."""
    settings = context.settings
    artifact = trained / ARTIFACT[rung] if trained else None
    identity = FolderRecord.of(artifact).digest() if artifact else base.identity()
    key = StageKey(
        stage=f"score-{rung.value}",
        inputs={
            "base": base.identity(),
            "artifact": identity,
            "snapshot": snapshot.record.digest(),
            "split": Split.GATE.value,
            "max_tokens": settings.model.max_tokens,
            "generation": settings.generation.model_dump(mode="json")
            if snapshot.record.task is Task.INSTRUCTION
            else None,
        },
        code=code_digest(
            *("data_contracts", "tasks.training", "tasks.data"),
            *("tasks.stages.scoring", "tasks.stages.rows", "tasks.evidence.scores"),
        ),
        packages=package_versions(SCORING_PACKAGES),
    )

    def build(folder: Path) -> ScoringEvidence:
        tokenizer = tokenizer_of(base)
        with measured() as scoring:
            table = score(
                base=Path(base.folder),
                artifact=artifact,
                rung=rung,
                head=head_of(snapshot.record, tokenizer),
                rows=encoded(context, base, snapshot, Split.GATE),
                tokenizer=tokenizer,
                generation=settings.generation,
                progress=StageProgress(f"score {rung.value}"),
            )
        path = write_scores(
            folder,
            row_ids=table.row_ids,
            scores=table.scores,
            answers=table.answers,
            references=table.references,
        )
        return ScoringEvidence(
            rung=rung,
            artifact=identity,
            snapshot=snapshot.record.digest(),
            split=Split.GATE,
            rows=len(table.row_ids),
            metrics=table.summary(),
            scores=FileRecord(path=path.name, sha256=digest_file(path), size_bytes=path.stat().st_size),
            method=_METHODS[rung, snapshot.record.task],
            cost=scoring.cost,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, ScoringEvidence, build)
    context.dossier.add_stage(f"{dossier_folder}/gate", stored.folder)
    metric = settings.policy.metric
    line = f"{metric} {stored.record.metric(metric):.4g} on {stored.record.rows:,} gate rows"
    listener().stage_ended(f"score {rung.value}", line, measurement.cost, stored.reused)
    return stored


def scored_split(context: RunContext, scored: Stored[ScoringEvidence]) -> ScoredSplit:
    """The per-example scores a gate needs, read from the stage's parquet file."""
    column = read_scores(scored.folder, context.settings.policy.metric)
    return ScoredSplit(
        name=_READABLE[scored.record.rung],
        row_ids=column.row_ids,
        scores=column.values,
        evidence=scored.record.digest(),
    )
