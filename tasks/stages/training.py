"""The stages that train: the baseline's probe, the pilot, and full fine-tuning with its permit."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.base import FolderRecord
from data_contracts.records.evidence import ArtifactKind, BaselineEvidence, TrainingEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.settings import FullSettings, PilotSettings, TrainingSettings
from data_contracts.records.snapshot import Split
from tasks.evidence.dossier import PERMIT, REDEMPTION
from tasks.evidence.environment import TRAINING_PACKAGES, code_digest, package_versions
from tasks.evidence.files import write_atomically
from tasks.evidence.redeeming import Work
from tasks.evidence.store import StageKey, Stored
from tasks.stages.artifacts import show_curve
from tasks.stages.context import RunContext
from tasks.stages.curves import write_curve
from tasks.stages.findings import Findings, Trained
from tasks.stages.measure import measured
from tasks.stages.methods import method_identity
from tasks.stages.permits import redeem_here, require_issued_by_a_gate, require_redeemed
from tasks.stages.processes import fit_on
from tasks.stages.replay import replay_digest, replayed
from tasks.stages.rows import encoded, head_of, tokenizer_of
from tasks.stages.watching import StageProgress, listener
from tasks.training.baseline import fit_probe
from tasks.training.inputs import TrainingInputs
from tasks.training.rungs import FullRung, PilotRung, begins_with
from tasks.training.saving import merge

CODE = (
    *("tasks.stages.processes", "tasks.stages.worker", "tasks.stages.methods"),
    *("data_contracts", "tasks.training", "tasks.data"),
    *("tasks.stages.training", "tasks.stages.rows", "tasks.stages.replay", "tasks.stages.curves"),
)
"""The source that a trained artifact depends on."""


@task(name="baseline", cache_policy=NO_CACHE)
def train_baseline(context: RunContext, findings: Findings) -> Stored[BaselineEvidence] | None:
    """A classifier's linear probe; an instruction model is its own baseline, and nothing is trained."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    if snapshot.record.task is not Task.CLASSIFICATION:
        return None
    key = StageKey(
        stage="baseline",
        inputs={
            "base": base.identity(),
            "snapshot": snapshot.record.digest(),
            "max_tokens": context.settings.model.max_tokens,
        },
        code=code_digest(*CODE),
        packages=package_versions((*TRAINING_PACKAGES, "scikit-learn")),
    )

    def build(folder: Path) -> BaselineEvidence:
        with measured() as fitting:
            fitted = fit_probe(
                base=Path(base.folder),
                train=encoded(context, base, snapshot, Split.TRAIN),
                tune=encoded(context, base, snapshot, Split.TUNE),
                artifact=folder / ArtifactKind.PROBE,
                progress=StageProgress("baseline"),
            )
        return BaselineEvidence(
            base_model=base.identity(),
            snapshot=snapshot.record.digest(),
            inverse_regularisation=fitted.inverse_regularisation,
            tune_accuracy=fitted.tune_accuracy,
            rows_seen=fitted.rows_seen,
            artifact=FolderRecord.of(folder / ArtifactKind.PROBE),
            cost=fitting.cost,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, BaselineEvidence, build)
    context.dossier.add_stage("baseline", stored.folder)
    line = f"linear probe on the frozen base, accuracy {stored.record.tune_accuracy:.3f} on tune"
    listener().stage_ended("baseline", line, measurement.cost, stored.reused)
    return stored


@task(name="full", cache_policy=NO_CACHE)
def train_full(
    context: RunContext, findings: Findings, *, pilot: Trained, learning_rate: float, seed: int
) -> Trained:
    """What updates base weights, for which the permit in the dossier is redeemed.

    Args:
        pilot: the best pilot, for a method that begins with it merged.

    Raises:
        PermitRefusedError: before any weight is read, also where a stored result could be reused.
        LedgerError: the permit could not be redeemed.
    """
    settings, adapter = context.settings, pilot.stored.folder / ArtifactKind.ADAPTER
    work = full_work(context, findings, pilot=pilot, learning_rate=learning_rate, seed=seed)
    redeemed = redeem_here(context, work)
    rung = FullRung(
        redeemed.permit,
        redeemed.redemption,
        run_id=work.run_id,
        snapshot=work.snapshot,
        base_model=work.base_model,
        policy=work.policy,
        settings=settings.full,
        adapter=adapter,
    )
    folder = settings.full.method if seed == settings.seed else f"{settings.full.method}-seed-{seed}"
    stored = train_rung(
        context, findings, rung=rung, learning_rate=learning_rate, seed=seed, folder_name=folder
    )
    return Trained(folder=folder, stored=stored)


def full_work(
    context: RunContext, findings: Findings, *, pilot: Trained, learning_rate: float, seed: int
) -> Work:
    """What the permit has to cover, and is redeemed for."""
    assert findings.snapshot is not None
    settings, adapter = context.settings, pilot.stored.folder / ArtifactKind.ADAPTER
    key = training_key(
        context, findings, settings.full, adapter=adapter, learning_rate=learning_rate, seed=seed
    )
    return Work(
        run_id=context.run_id,
        snapshot=findings.snapshot.record.digest(),
        base_model=findings.base.identity(),
        policy=settings.policy.digest(),
        rung=settings.full.method,
        seed=seed,
        training=key.inputs_digest,
    )


@task(name="train", task_run_name="train {folder_name}", cache_policy=NO_CACHE)
def train_rung(
    context: RunContext,
    findings: Findings,
    *,
    rung: PilotRung | FullRung,
    learning_rate: float,
    seed: int,
    folder_name: str,
) -> Stored[TrainingEvidence]:
    """One training of one rung; full fine-tuning comes with a ``FullRung``, which exists by permit only.

    Raises:
        PermitRefusedError: base weights would be updated, and the ledger does not hold that a permit was
            redeemed for that.
    """
    assert findings.snapshot is not None
    settings, base, snapshot = context.settings, findings.base, findings.snapshot
    name = rung.rung
    pilot = rung.settings if isinstance(rung, PilotRung) else None
    full = rung if isinstance(rung, FullRung) else None
    adapter = rung.start if isinstance(rung, PilotRung) else rung.adapter
    start = begins_with(rung.settings, adapter)
    served = ArtifactKind.ADAPTER if pilot is not None and not pilot.merge else ArtifactKind.MODEL
    key = training_key(
        context, findings, rung.settings, adapter=adapter, learning_rate=learning_rate, seed=seed
    )
    if full is not None:
        require_redeemed(context, full, key.inputs_digest)
    checkpoints = context.store.checkpoints(key)

    def build(folder: Path) -> TrainingEvidence:
        given = inputs_for(
            context, findings, rung, training=settings.training, learning_rate=learning_rate, seed=seed
        )
        trained = folder / (ArtifactKind.ADAPTER if pilot else ArtifactKind.MODEL)
        with measured() as training:
            fitted = fit_on(
                settings.compute,
                given,
                artifact=trained,
                checkpoints=checkpoints,
                progress=StageProgress(folder_name),
                tell=listener().noted,
            )
        if pilot is not None and pilot.merge:
            merge(given.base, trained, given.head, given.tokenizer, folder / served)
        if full is not None:
            # Those under which it was trained; the dossier of a run that reuses it has its own beside them.
            write_atomically(folder / PERMIT, (context.dossier.folder / PERMIT).read_bytes())
            write_atomically(folder / REDEMPTION, full.redemption.canonical_json())
        write_curve(folder, fitted.curve, title=f"learning curve of {folder_name}")
        return TrainingEvidence(
            rung=rung.rung,
            base_model=base.identity(),
            snapshot=snapshot.record.digest(),
            training=settings.training.without_places(),
            pilot=pilot,
            full=full.settings if full else None,
            start=FolderRecord.of(start).digest() if start else None,
            replay=replay_digest(findings),
            learning_rate=learning_rate,
            seed=seed,
            conditions=fitted.conditions,
            steps=fitted.steps,
            stopped_early=fitted.stopped_early,
            kept_step=fitted.kept_step,
            rows_seen=fitted.rows_seen,
            supervised_tokens=fitted.supervised_tokens,
            truncated_rows=sum(given.train["truncated"]),
            seen=fitted.seen,
            trainable_parameters=fitted.trainable_parameters,
            total_parameters=fitted.total_parameters,
            adapted_modules=fitted.adapted_modules,
            curve=fitted.curve,
            served=served,
            artifact=FolderRecord.of(folder / served),
            permit=full.permit.digest() if full else None,
            cost=training.cost.after(fitted.earlier),
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, TrainingEvidence, build)
    if full is not None:
        require_issued_by_a_gate(stored.folder)
    checkpoints.remove()
    context.dossier.add_stage(folder_name, stored.folder)
    show_curve(folder_name, stored.record.curve, stored.folder)
    evidence = stored.record
    line = (
        f"{evidence.steps:,} steps, {evidence.trainable_parameters:,} of "
        f"{evidence.total_parameters:,} parameters trained, loss on tune "
        f"{evidence.curve[0].tune_loss:.3f} -> {evidence.kept_tune_loss:.3f}; {evidence.seen.sentence}"
        + (f", {evidence.truncated_rows:,} rows truncated" if evidence.truncated_rows else "")
    )
    findings.spend(evidence.cost)
    listener().stage_ended(f"train {name}", line, measurement.cost, stored.reused)
    return stored


def training_key(
    context: RunContext,
    findings: Findings,
    rung: PilotSettings | FullSettings,
    *,
    adapter: Path | None,
    learning_rate: float,
    seed: int,
) -> StageKey:
    """Names one training; ``adapter`` is what it may begin with (``begins_with``)."""
    assert findings.snapshot is not None
    settings, updates_base = context.settings, isinstance(rung, FullSettings)
    start = begins_with(rung, adapter)
    said = rung.model_dump(mode="json")
    return StageKey(
        stage=f"train-{rung.method}",
        inputs={
            "base": findings.base.identity(),
            "snapshot": findings.snapshot.record.digest(),
            "max_tokens": settings.model.max_tokens,
            "precision": settings.model.precision.value,
            "training": settings.training.decisive(),
            "pilot": None if updates_base else said,
            "full": said if updates_base else None,
            "start": FolderRecord.of(start).digest() if start else None,
            "method": method_identity(rung.method),
            "learning_rate": learning_rate,
            "seed": seed,
            "replay": replay_digest(findings),
            # A model trained under another policy was allowed by another question.
            "policy": settings.policy.digest() if updates_base else None,
        },
        code=code_digest(*CODE),
        packages=package_versions(TRAINING_PACKAGES),
    )


def inputs_for(
    context: RunContext,
    findings: Findings,
    rung: PilotRung | FullRung,
    *,
    training: TrainingSettings,
    learning_rate: float,
    seed: int,
) -> TrainingInputs:
    """The run's rows and base for one training, be it in full length or a try of a learning rate."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    tokenizer = tokenizer_of(base)
    return TrainingInputs(
        base=Path(base.folder),
        base_name=base.source,
        base_digest=base.identity(),
        head=head_of(context, snapshot.record, tokenizer),
        rung=rung,
        train=encoded(context, base, snapshot, Split.TRAIN),
        tune=encoded(context, base, snapshot, Split.TUNE),
        tokenizer=tokenizer,
        training=training,
        learning_rate=learning_rate,
        seed=seed,
        replayed=replayed(context, findings),
    )
