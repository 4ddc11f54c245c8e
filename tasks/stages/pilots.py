"""The stages of a fair pilot: its first training, the sweep, remedies, and further seeds."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import TrainingDivergedError
from data_contracts.records.base import NOTHING_SPENT
from data_contracts.records.decision import Gate
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.policy import Remedy
from data_contracts.records.settings import PilotSettings, RunSettings
from data_contracts.records.snapshot import Split
from tasks.decisions.forecast import reference_rate
from tasks.decisions.remedies import (
    best_trial,
    by_method,
    fairest_trial,
    next_sweep_runs,
    remedied,
    rounded_rate,
    sweep_winner,
    trial_of,
)
from tasks.evidence.environment import TRAINING_PACKAGES, code_digest, package_versions
from tasks.evidence.store import StageKey
from tasks.stages.context import RunContext
from tasks.stages.continuing import adapter_to_continue, first_settings
from tasks.stages.findings import Findings, Trained
from tasks.stages.measure import measured
from tasks.stages.methods import method_identity
from tasks.stages.processes import fit_on
from tasks.stages.replay import replay_digest
from tasks.stages.rows import count_encoded
from tasks.stages.scoring import score_artifact
from tasks.stages.training import CODE, inputs_for, train_rung
from tasks.stages.watching import StageProgress, listener
from tasks.training.fit import planned_steps
from tasks.training.rungs import PilotRung

_WORST = 1e9
"""Stands for a loss, or an error rate without an upper end, that was never taken."""


def full_rate(settings: RunSettings, width: int) -> float:
    """The peak learning rate of full fine-tuning: as asked for, or the usual one for this width."""
    return settings.full.learning_rate or reference_rate(width)


def train_next_pilot(context: RunContext, findings: Findings) -> None:
    """The first pilot, or the one that the last fairness decision's remedy asks for."""
    fairness = findings.history.last(Gate.FAIRNESS)
    remedy = fairness.remedy if fairness is not None else None
    settings = _settings_after(context, findings, remedy)
    known = [trial.settings for trial in findings.trials]
    # A sweep may find that the rate in use was the best one.
    if settings not in known:
        _train_trial(context, findings, settings, remedy)
    history = findings.history
    findings.history = replace(history, pilot_steps=history.pilot_steps + 1, seeds=_seeds(context, findings))


def train_another_seed(context: RunContext, findings: Findings) -> None:
    """The best pilot once more, from the next seed: other new weights, another order of rows."""
    best = best_trial(findings.trials, context.settings.policy)
    trainings = findings.pilots[best.number]
    seed = context.settings.seed + len(trainings)
    folder = f"{trainings[0].folder}-seed-{seed}"
    trainings.append(_train_pilot(context, findings, best.settings, seed=seed, folder=folder))
    findings.history = replace(findings.history, seeds=len(trainings))


def best_trainings(context: RunContext, findings: Findings) -> list[Trained]:
    """The trainings of the pilot that is best on ``tune``, the settings' own seed first."""
    return findings.pilots[best_trial(findings.trials, context.settings.policy).number]


def _seeds(context: RunContext, findings: Findings) -> int:
    return len(best_trainings(context, findings))


def _settings_after(context: RunContext, findings: Findings, remedy: Remedy | None) -> PilotSettings:
    reference = full_rate(context.settings, findings.base.width)
    if remedy is None or remedy is Remedy.FROM_BASE:
        asked = by_method(context.settings.pilot, findings.method)
        asked = asked.model_copy(
            update={"learning_rate": asked.learning_rate or rounded_rate(10 * reference)}
        )
        if remedy is Remedy.FROM_BASE:
            return remedied(asked, remedy)
        return first_settings(context, findings, asked)
    fairest = fairest_trial(findings.trials, context.settings.policy)
    if remedy is not Remedy.SWEEP:
        return remedied(fairest.settings, remedy)
    _sweep(context, findings, fairest, reference)
    return remedied(fairest.settings, remedy, swept_rate=sweep_winner(findings.sweep))


def _sweep(context: RunContext, findings: Findings, fairest: PilotTrial, reference: float) -> None:
    while runs := next_sweep_runs(
        findings.sweep,
        reference_rate=reference,
        full_steps=fairest.full_steps,
        policy=context.settings.policy,
    ):
        for rate, steps in runs:
            findings.sweep.append(try_rate(context, findings, fairest.settings, rate, steps))


@task(name="sweep", task_run_name="sweep {learning_rate}", cache_policy=NO_CACHE)
def try_rate(
    context: RunContext, findings: Findings, settings: PilotSettings, learning_rate: float, steps: int
) -> SweepPoint:
    """One learning rate for ``steps`` steps; only its loss on ``tune`` is kept."""
    assert findings.snapshot is not None
    base, snapshot, run = findings.base, findings.snapshot, context.settings
    # The lowest point of the curve counts, so that stopping early would save little and change nothing.
    training = run.training.model_copy(
        update={"max_steps": steps, "curve_points": 2, "early_stopping_points": None}
    )
    tried = settings.model_copy(update={"learning_rate": learning_rate})
    key = StageKey(
        stage="sweep",
        inputs={
            "base": base.identity(),
            "snapshot": snapshot.record.digest(),
            "max_tokens": run.model.max_tokens,
            "precision": run.model.precision.value,
            "training": training.decisive(),
            "pilot": tried.model_dump(mode="json"),
            "method": method_identity(tried.method),
            "seed": run.seed,
            "replay": replay_digest(findings),
        },
        code=code_digest(*CODE, "tasks.stages.pilots"),
        packages=package_versions(TRAINING_PACKAGES),
    )

    checkpoints = context.store.checkpoints(key)

    def build(folder: Path) -> SweepPoint:
        lowest, earlier = None, NOTHING_SPENT
        with measured() as trying, suppress(TrainingDivergedError):
            fitted = fit_on(
                run.compute,
                inputs_for(
                    context,
                    findings,
                    PilotRung(tried),
                    training=training,
                    learning_rate=learning_rate,
                    seed=run.seed,
                ),
                artifact=folder / "adapter",
                checkpoints=checkpoints,
                progress=StageProgress(f"sweep {learning_rate:g}"),
                tell=listener().noted,
            )
            earlier = fitted.earlier
            shutil.rmtree(folder / "adapter")
            lowest = min(point.tune_loss for point in fitted.curve[1:])
        return SweepPoint(
            learning_rate=learning_rate, steps=steps, tune_loss=lowest, cost=trying.cost.after(earlier)
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, SweepPoint, build)
    checkpoints.remove()
    number = len(findings.sweep) + 1
    context.dossier.add_stage(f"sweep/{number:02}-{learning_rate:g}", stored.folder)
    loss = stored.record.tune_loss
    line = f"{steps:,} steps, " + ("diverged" if loss is None else f"loss on tune {loss:.4f}")
    listener().stage_ended(f"rate {learning_rate:g}", line, measurement.cost, stored.reused)
    findings.spend(stored.record.cost)
    return stored.record


def _train_trial(
    context: RunContext, findings: Findings, settings: PilotSettings, remedy: Remedy | None
) -> None:
    assert findings.snapshot is not None and settings.learning_rate is not None
    number = len(findings.trials) + 1
    folder = f"pilot-{number}-{settings.method}-r{settings.rank}"
    try:
        trained = _train_pilot(context, findings, settings, seed=context.settings.seed, folder=folder)
    except TrainingDivergedError:
        sweep_is_left = not findings.sweep and Remedy.SWEEP in context.settings.policy.remedies.allowed
        if not sweep_is_left and settings.continues is None:
            raise  # nothing is left that could mend it
        findings.trials.append(_diverged_trial(context, findings, number, settings, remedy))
        findings.pilots[number] = []
        return
    scored = score_artifact(context, findings, findings.subject(trained), folder, Split.TUNE)
    evidence = trained.stored.record
    rows = count_encoded(context, findings.base, findings.snapshot, Split.TRAIN)
    findings.trials.append(
        trial_of(
            evidence,
            scored.record,
            number=number,
            remedy=remedy,
            full_steps=planned_steps(rows, context.settings.training),
            truncated_share=evidence.truncated_rows / max(1, rows),
            metric=context.settings.policy.metric,
            labels=len(findings.snapshot.record.labels),
        )
    )
    findings.pilots[number] = [trained]


def _diverged_trial(
    context: RunContext, findings: Findings, number: int, settings: PilotSettings, remedy: Remedy | None
) -> PilotTrial:
    """A pilot with nothing to score: the sweep looks for a rate that it can be trained at."""
    assert findings.snapshot is not None and settings.learning_rate is not None
    metric = context.settings.policy.measure
    worst = metric.minimum if metric.higher_is_better else (metric.maximum or _WORST)
    rows = count_encoded(context, findings.base, findings.snapshot, Split.TRAIN)
    steps = planned_steps(rows, context.settings.training)
    return PilotTrial(
        number=number,
        settings=settings,
        remedy=remedy,
        learning_rate=settings.learning_rate,
        steps=steps,
        full_steps=steps,
        tune_score=worst,
        tune_loss=_WORST,
        lowest_train_loss=0.0,
        supervised_tokens=0,
        truncated_share=0.0,
        adapter_parameters=0,
        information_bits=0.0,
        evidence=(),
        diverged=True,
    )


def _train_pilot(
    context: RunContext, findings: Findings, settings: PilotSettings, *, seed: int, folder: str
) -> Trained:
    assert settings.learning_rate is not None
    rung = PilotRung(settings, adapter_to_continue(context.settings, settings))
    stored = train_rung(
        context, findings, rung=rung, learning_rate=settings.learning_rate, seed=seed, folder_name=folder
    )
    return Trained(folder=folder, stored=stored)
