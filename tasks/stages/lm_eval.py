"""The stage that scores base and trained model on tasks of lm-eval, for the guardrails of the policy."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.bases import TaskBasis
from data_contracts.records.lm_eval import LmEvalScores
from data_contracts.records.policy import LmEvalRule
from data_contracts.records.settings import RunSettings
from tasks.evidence.environment import SCORING_PACKAGES, code_digest, package_versions
from tasks.evidence.store import StageKey, Stored
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Trained
from tasks.stages.measure import measured
from tasks.stages.rows import head_of, tokenizer_of
from tasks.stages.watching import listener
from tasks.training.lm_eval_tasks import require_task, score_task, task_digest


def require_lm_eval_tasks(settings: RunSettings) -> None:
    """Raises ``InputError`` if lm-eval or a task of the policy is missing, before anything is trained."""
    for rule in settings.policy.guardrails.lm_eval:
        require_task(rule.task, rule.metric, where=_where(rule))


def task_basis(
    context: RunContext, findings: Findings, rule: LmEvalRule, trainings: Sequence[Trained]
) -> TaskBasis:
    """Base and trained models (one a seed) on the task of ``rule``."""
    base = lm_eval_stage(context, findings, rule, None).record
    trained = [lm_eval_stage(context, findings, rule, each).record.digest() for each in trainings]
    return TaskBasis(rule=rule.name, trained=tuple(trained), base=base.digest())


@task(name="lm-eval", task_run_name="lm-eval {rule.name}", cache_policy=NO_CACHE)
def lm_eval_stage(
    context: RunContext, findings: Findings, rule: LmEvalRule, trained: Trained | None
) -> Stored[LmEvalScores]:
    """One artifact, or the base, on one task."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    subject = findings.subject(trained)
    key = StageKey(
        stage="lm-eval",
        inputs={
            "base": base.identity(),
            "artifact": subject.digest,
            "task": task_digest(rule.task, rule.limit, where=_where(rule)),
            "metric": rule.metric,
            "limit": rule.limit,
            "precision": context.settings.model.precision.value,
        },
        code=code_digest("data_contracts", "tasks.training", "tasks.stages.lm_eval", "tasks.stages.rows"),
        packages=package_versions((*SCORING_PACKAGES, "lm-eval")),
    )

    def build(_: Path) -> LmEvalScores:
        tokenizer = tokenizer_of(base)
        scores = score_task(
            base=Path(base.folder),
            artifact=subject.artifact,
            rung=subject.rung,
            head=head_of(context, snapshot.record, tokenizer),
            tokenizer=tokenizer,
            task=rule.task,
            metric=rule.metric,
            limit=rule.limit,
            where=_where(rule),
        )
        return LmEvalScores(
            artifact=subject.digest,
            task=rule.task,
            metric=rule.metric,
            higher_is_better=scores.higher_is_better,
            row_ids=scores.row_ids,
            values=scores.values,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, LmEvalScores, build)
    folder = trained.folder if trained else "baseline"
    context.dossier.add_stage(f"{folder}/{rule.folder}", stored.folder)
    line = f"{rule.name} {float(np.mean(stored.record.values)):.4g}, {folder}"
    listener().stage_ended("lm-eval", line, measurement.cost, stored.reused)
    return stored


def _where(rule: LmEvalRule) -> str:
    return f"policy.guardrails.lm_eval, {rule.task}"
