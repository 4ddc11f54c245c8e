"""The stages that measure what guardrails are judged on; only what the policy asks for is measured."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import InputError, Problem
from data_contracts.records.base import Digest, digest_file
from data_contracts.records.bases import GuardrailBasis, RowMask, ServingBasis, SliceBasis
from data_contracts.records.evidence import GeneralLosses, ServingCost
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import Split
from tasks.data.rows.slices import SliceColumns, read_slice_columns, rows_of
from tasks.evidence.environment import SCORING_PACKAGES, code_digest, package_versions
from tasks.evidence.scores import read_answers
from tasks.evidence.store import StageKey, Stored
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Trained
from tasks.stages.lm_eval import task_basis
from tasks.stages.measure import measured
from tasks.stages.rows import encoded, head_of, tokenizer_of
from tasks.stages.scoring import score_all
from tasks.stages.watching import StageProgress, listener
from tasks.training.answer_format import matches_format
from tasks.training.general_text import GENERAL_TEXT, general_losses, general_sentences
from tasks.training.serving import measure_serving

_CODE = (
    *("data_contracts", "tasks.training", "tasks.data"),
    *("tasks.stages.guardrails", "tasks.stages.rows"),
)


def guardrail_basis(
    context: RunContext, findings: Findings, trainings: Sequence[Trained], split: Split
) -> GuardrailBasis:
    """What the policy's guardrails need to know of ``trainings``, one a seed, on ``split``."""
    rails = context.settings.policy.guardrails
    predicts_text = context.settings.task is not Task.CLASSIFICATION
    asks_text = predicts_text and rails.forgetting is not None
    return GuardrailBasis(
        predicts_text=predicts_text,
        slices=_slices(context, findings, split),
        well_formed=(
            _well_formed(context, findings, trainings, split, rails.answer_format.pattern)
            if rails.answer_format
            else ()
        ),
        base_losses=_losses(context, findings, [None])[0] if asks_text else None,
        trained_losses=_losses(context, findings, trainings) if asks_text else (),
        serving=_serving(context, findings, trainings[0]) if rails.serving else None,
        tasks=tuple(task_basis(context, findings, rule, trainings) for rule in rails.lm_eval),
    )


def require_slices(context: RunContext, findings: Findings) -> None:
    """Every slice of the policy must occur in the gate rows, before anything is trained on its account.

    Raises:
        InputError: a slice names a column that is not there, or rows that never occur; all of them.
    """
    assert findings.snapshot is not None
    columns = _columns(findings, Split.GATE)
    problems: list[Problem] = []
    for rule in context.settings.policy.guardrails.slices:
        where = f"policy.guardrails.slices, {rule.name}"
        if rule.column not in columns.texts:
            problems += InputError.single(
                where,
                expected=f"a column among {', '.join(columns.texts)}",
                found=rule.column,
                remedy=f"add {rule.column} to data.columns.keep, or correct the name",
            ).problems
        elif not any(rows_of(rule, columns).flags()):
            wanted = f"= {rule.equals!r}" if rule.equals is not None else f"matching {rule.matches!r}"
            problems += InputError.single(
                where,
                expected=f"gate rows with {rule.column} {wanted}",
                found="none",
                remedy="correct the value, or add such rows to the data",
            ).problems
    if problems:
        raise InputError(problems)


def _slices(context: RunContext, findings: Findings, split: Split) -> tuple[SliceBasis, ...]:
    rules = context.settings.policy.guardrails.slices
    if not rules:
        return ()
    columns = _columns(findings, split)
    return tuple(SliceBasis(rule=rule.name, members=rows_of(rule, columns)) for rule in rules)


def _columns(findings: Findings, split: Split) -> SliceColumns:
    assert findings.snapshot is not None
    snapshot = findings.snapshot
    return read_slice_columns(snapshot.folder, snapshot.record.split(split), snapshot.record.task)


def _well_formed(
    context: RunContext, findings: Findings, trainings: Sequence[Trained], split: Split, pattern: str
) -> tuple[RowMask, ...]:
    scored = score_all(context, findings, trainings, split)
    answers = [read_answers(each.folder).answers for each in scored]
    return tuple(RowMask.of([bool(fits) for fits in matches_format(each, pattern)]) for each in answers)


def _losses(
    context: RunContext, findings: Findings, trainings: Sequence[Trained | None]
) -> tuple[Digest, ...]:
    return tuple(general_text_stage(context, findings, each).record.digest() for each in trainings)


@task(name="general text", cache_policy=NO_CACHE)
def general_text_stage(
    context: RunContext, findings: Findings, trained: Trained | None
) -> Stored[GeneralLosses]:
    """The loss of each general sentence under one artifact, or under the base."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    subject = findings.subject(trained)
    key = StageKey(
        stage="general-text",
        inputs={
            "base": base.identity(),
            "artifact": subject.digest,
            "text": digest_file(GENERAL_TEXT),
            "precision": context.settings.model.precision.value,
        },
        code=code_digest(*_CODE),
        packages=package_versions(SCORING_PACKAGES),
    )

    def build(_: Path) -> GeneralLosses:
        tokenizer = tokenizer_of(base)
        losses = general_losses(
            base=Path(base.folder),
            artifact=subject.artifact,
            rung=subject.rung,
            head=head_of(context, snapshot.record, tokenizer),
            tokenizer=tokenizer,
            texts=general_sentences(),
            progress=StageProgress("general text"),
        )
        return GeneralLosses(artifact=subject.digest, nats_per_token=tuple(float(each) for each in losses))

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, GeneralLosses, build)
    folder = trained.folder if trained else "baseline"
    context.dossier.add_stage(f"{folder}/general-text", stored.folder)
    mean = float(np.mean(stored.record.nats_per_token))
    listener().stage_ended(
        "general text", f"{mean:.3f} nats a token, {folder}", measurement.cost, stored.reused
    )
    return stored


def _serving(context: RunContext, findings: Findings, trained: Trained) -> ServingBasis:
    base = serving_stage(context, findings, None).record
    return ServingBasis(trained=serving_stage(context, findings, trained).record.digest(), base=base.digest())


@task(name="serving cost", cache_policy=NO_CACHE)
def serving_stage(context: RunContext, findings: Findings, trained: Trained | None) -> Stored[ServingCost]:
    """Seconds an answer and bytes of one artifact, or of the base as a service of its own."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    subject = findings.subject(trained) if trained else findings.baseline_subject()
    key = StageKey(
        stage="serving",
        inputs={
            "base": base.identity(),
            "artifact": subject.digest if subject.artifact else None,
            "snapshot": snapshot.record.digest(),
            "generation": context.settings.generation.model_dump(mode="json"),
            "max_tokens": context.settings.model.max_tokens,
            "precision": context.settings.model.precision.value,
            # A ratio of two machines would say nothing.
            "machine": [platform.node(), os.cpu_count()],
        },
        code=code_digest(*_CODE),
        packages=package_versions(SCORING_PACKAGES),
    )

    def build(_: Path) -> ServingCost:
        tokenizer = tokenizer_of(base)
        return measure_serving(
            base=Path(base.folder),
            artifact=subject.artifact,
            rung=subject.rung,
            head=head_of(context, snapshot.record, tokenizer),
            rows=encoded(context, base, snapshot, Split.TUNE),
            tokenizer=tokenizer,
            generation=context.settings.generation,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, ServingCost, build)
    folder = trained.folder if trained else "baseline"
    context.dossier.add_stage(f"{folder}/serving", stored.folder)
    line = f"{stored.record.median_seconds * 1e3:.1f} ms an answer, {folder}"
    listener().stage_ended("serving cost", line, measurement.cost, stored.reused)
    return stored
