"""The stage that measures how far this data lies from what the base knows."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.base import digest_file
from data_contracts.records.evidence import DomainDistance
from data_contracts.records.snapshot import Split
from tasks.evidence.environment import SCORING_PACKAGES, code_digest, package_versions
from tasks.evidence.store import StageKey
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.measure import measured
from tasks.stages.rows import encoded, tokenizer_of
from tasks.stages.watching import StageProgress, listener
from tasks.training.distance import domain_distance
from tasks.training.general_text import GENERAL_TEXT


@task(name="domain distance", cache_policy=NO_CACHE)
def measure_distance(context: RunContext, findings: Findings) -> DomainDistance:
    """The bare base on the ``tune`` rows, beside the same on a general text."""
    assert findings.snapshot is not None
    base, snapshot = findings.base, findings.snapshot
    key = StageKey(
        stage="distance",
        inputs={
            "base": base.identity(),
            "snapshot": snapshot.record.digest(),
            "max_tokens": context.settings.model.max_tokens,
            "precision": context.settings.model.precision.value,
            "general_text": digest_file(GENERAL_TEXT),
        },
        code=code_digest(
            "data_contracts", "tasks.training", "tasks.data", "tasks.stages.distance", "tasks.stages.rows"
        ),
        packages=package_versions(SCORING_PACKAGES),
    )

    def build(_: Path) -> DomainDistance:
        return domain_distance(
            base,
            encoded(context, base, snapshot, Split.TUNE),
            tokenizer_of(base),
            precision=context.settings.model.precision,
            progress=StageProgress("domain distance"),
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, DomainDistance, build)
    context.dossier.add_stage("domain-distance", stored.folder)
    listener().stage_ended("domain distance", stored.record.summary, measurement.cost, stored.reused)
    return stored.record
