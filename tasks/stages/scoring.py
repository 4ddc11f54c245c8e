"""The stage that scores one artifact on the gate rows, loaded as it would be served."""

from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import LookRefusedError
from data_contracts.records.evidence import ArtifactKind, ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import Precision
from data_contracts.records.snapshot import Split
from data_contracts.row_salts import read_names
from tasks.evidence.environment import SCORING_PACKAGES, code_digest, package_versions
from tasks.evidence.scores import write_scores
from tasks.evidence.store import StageKey, Stored
from tasks.stages.calibration import write_reliability
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Subject, Trained
from tasks.stages.measure import measured
from tasks.stages.rows import encoded, encoded_with_examples, head_of, tokenizer_of
from tasks.stages.scorers import find_scorers
from tasks.stages.watching import StageProgress, listener
from tasks.training.loading import is_quantised
from tasks.training.methods.registry import adapts
from tasks.training.score import score

_SEALED = (Split.GATE, Split.RESERVE)

_READABLE = {Rung.BASELINE: "the baseline", Rung.FULL: "full fine-tuning", Rung.LORA: "the LoRA pilot"}

_BASES = {
    Task.CLASSIFICATION: "linear probe on the frozen base's mean-pooled hidden states",
    Task.INSTRUCTION: "the base model, asked with the prompt alone",
    Task.COMPLETION: "the base model, as it goes on with each text",
}
_ASKED = {
    Task.CLASSIFICATION: "",
    Task.INSTRUCTION: ", greedy answers",
    Task.COMPLETION: ", loss of each text",
}


def readable(rung: Rung) -> str:
    """What decisions call what was scored."""
    told = _READABLE.get(rung)
    if told is not None:
        return told
    return f"the {rung} pilot" if adapts(rung) else f"fine-tuning by {rung}"


def method_of(rung: Rung, artifact: Path | None, task: Task, precision: Precision) -> str:
    """How an artifact was asked, in a sentence."""
    if rung == Rung.BASELINE:
        return _BASES[task]
    base = "base in 4-bit NF4" if is_quantised(rung) else f"{precision} base"
    adapter = artifact is not None and artifact.name == ArtifactKind.ADAPTER
    told = f"{rung} adapter on the {base}" if adapter else f"whole model in {precision}, trained by {rung}"
    return f"{told}{_ASKED[task]}"


def score_artifact(
    context: RunContext,
    findings: Findings,
    subject: Subject,
    folder_name: str,
    split: Split,
    *,
    examples_in_prompt: int = 0,
) -> Stored[ScoringEvidence]:
    """Scores ``subject``, as it would be served, on ``split``; once a run.

    Raises:
        LookRefusedError: the rows are for gates only, and what will be decided on them is not registered.
    """
    known = findings.scores.get((folder_name, split))
    if known is not None:
        return known
    scored = _score(context, findings, subject, folder_name, split, examples_in_prompt=examples_in_prompt)
    findings.scores[folder_name, split] = scored
    findings.spend(scored.record.cost)
    return scored


@task(name="score", task_run_name="score {folder_name} on {split.value}", cache_policy=NO_CACHE)
def _score(
    context: RunContext,
    findings: Findings,
    subject: Subject,
    folder_name: str,
    split: Split,
    *,
    examples_in_prompt: int = 0,
) -> Stored[ScoringEvidence]:
    assert findings.snapshot is not None
    if split in _SEALED and findings.registration is None:
        raise LookRefusedError(f"{split.value} rows are not scored before the question is registered")
    settings, base, snapshot = context.settings, findings.base, findings.snapshot
    rung, artifact = subject.rung, subject.artifact
    instruction = snapshot.record.task is Task.INSTRUCTION
    scorers = find_scorers(settings.scoring)
    key = StageKey(
        stage=f"score-{rung}",
        inputs={
            "base": base.identity(),
            "artifact": subject.digest,
            "snapshot": snapshot.record.digest(),
            "split": split.value,
            "max_tokens": settings.model.max_tokens,
            "precision": settings.model.precision.value,
            "generation": settings.generation.model_dump(mode="json") if instruction else None,
            "examples_in_prompt": examples_in_prompt,
            "scorers": scorers.key(),
        },
        code=code_digest(
            *("data_contracts", "tasks.training", "tasks.data"),
            *("tasks.stages.scoring", "tasks.stages.scorers", "tasks.stages.calibration"),
            *("tasks.stages.rows", "tasks.evidence.scores"),
        ),
        packages=package_versions(SCORING_PACKAGES),
    )

    def build(folder: Path) -> ScoringEvidence:
        tokenizer = tokenizer_of(base)
        method = method_of(rung, artifact, snapshot.record.task, settings.model.precision)
        rows = encoded(context, base, snapshot, split)
        if examples_in_prompt:
            shown = encoded_with_examples(context, base, snapshot, split, count=examples_in_prompt)
            rows, used = shown.rows, len(shown.example_ids)
            if used:
                method = f"the base model, asked with {used} worked examples"
        with measured() as scoring:
            table = score(
                base=Path(base.folder),
                artifact=artifact,
                rung=rung,
                head=head_of(context, snapshot.record, tokenizer),
                rows=rows,
                tokenizer=tokenizer,
                generation=settings.generation,
                progress=StageProgress(f"score {folder_name} {split.value}"),
            )
            table = scorers.added_to(table, snapshot, split)
        if table.calibration is not None:
            write_reliability(folder, table.calibration, title=f"{folder_name} on {split.value}")
        written = write_scores(
            folder,
            row_ids=table.row_ids,
            names=read_names(snapshot.folder / snapshot.record.split(split).file.path),
            scores=table.scores,
            answers=table.answers,
            references=table.references,
            details=table.details,
            labels=snapshot.record.task is Task.CLASSIFICATION,
        )
        return ScoringEvidence(
            rung=rung,
            artifact=subject.digest,
            snapshot=snapshot.record.digest(),
            split=split,
            rows=len(table.row_ids),
            metrics=table.summary(),
            scores=written,
            method=method,
            cost=scoring.cost,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, ScoringEvidence, build)
    context.dossier.add_stage(f"{folder_name}/{split.value}", stored.folder)
    metric = settings.policy.metric
    line = f"{metric} {stored.record.metric(metric):.4g} on {stored.record.rows:,} {split.value} rows"
    listener().stage_ended(f"score {rung}", line, measurement.cost, stored.reused)
    return stored


def score_all(
    context: RunContext, findings: Findings, trainings: Sequence[Trained], split: Split
) -> tuple[Stored[ScoringEvidence], ...]:
    """The scores of every seed of one rung on ``split``."""
    return tuple(
        score_artifact(context, findings, findings.subject(each), each.folder, split) for each in trainings
    )
