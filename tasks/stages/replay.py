"""The stage that makes ready what is replayed among the training rows."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.settings import ReplaySettings
from data_contracts.records.snapshot import ReplayEvidence
from tasks.data.checking.replay import REPLAYED, check_replay, replay_data
from tasks.data.likeness.earlier import EarlierSnapshots, find_earlier
from tasks.data.reading.source_files import is_hub_id
from tasks.data.reading.sources import read_rows
from tasks.data.tokens.tokenization import encode_split
from tasks.evidence.environment import DATA_PACKAGES, code_digest, package_versions
from tasks.evidence.store import StageKey, Stored
from tasks.stages.context import RunContext
from tasks.stages.data import source_identity
from tasks.stages.findings import Findings
from tasks.stages.measure import measured
from tasks.stages.rows import tokenizer_of
from tasks.stages.watching import listener


def prepare_replay(context: RunContext, findings: Findings) -> None:
    """Reads and checks the rows to replay, where the settings ask for any."""
    replay = context.settings.training.replay
    if replay is not None:
        findings.replay = _prepare(context, findings, replay)


@task(name="replay", cache_policy=NO_CACHE)
def _prepare(context: RunContext, findings: Findings, replay: ReplaySettings) -> Stored[ReplayEvidence]:
    assert findings.snapshot is not None
    settings, base, snapshot = context.settings, findings.base, findings.snapshot
    data = replay_data(replay)
    hub_rows = read_rows(data, settings.task) if is_hub_id(data.source) else None
    key = StageKey(
        stage="replay",
        inputs={
            "sources": source_identity(data, hub_rows),
            "columns": data.columns.model_dump(mode="json"),
            "form": data.form,
            "snapshot": snapshot.record.digest(),
            "earlier": list(find_earlier(settings.data.earlier).digests()),
            "tokenizer": base.identity(),
            "max_tokens": settings.model.max_tokens,
            "splits": settings.splits.model_dump(mode="json"),
        },
        code=code_digest("data_contracts", "tasks.data", "tasks.stages.replay"),
        packages=package_versions(DATA_PACKAGES),
    )

    def build(folder: Path) -> ReplayEvidence:
        earlier = find_earlier(settings.data.earlier).folders
        return check_replay(
            hub_rows or read_rows(data, settings.task),
            task=settings.task,
            tokenizer=tokenizer_of(base),
            max_tokens=settings.model.max_tokens,
            splits=settings.splits,
            snapshots=EarlierSnapshots((*earlier, snapshot.folder)),
            folder=folder,
        )

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, ReplayEvidence, build)
    context.dossier.add_stage("replay", stored.folder)
    for note in stored.record.notes:
        listener().stage_ended("columns", note, None, False)
    listener().stage_ended("replay", stored.record.sentence, measurement.cost, stored.reused)
    return stored


def replay_digest(findings: Findings) -> str | None:
    """Of what is replayed; ``None`` where nothing is."""
    return findings.replay.record.digest() if findings.replay else None


def replayed(context: RunContext, findings: Findings) -> Any | None:
    """The rows to replay as ``encode_split`` makes them."""
    if findings.replay is None:
        return None
    return encode_split(
        findings.replay.folder / REPLAYED,
        task=context.settings.task,
        tokenizer=tokenizer_of(findings.base),
        max_tokens=context.settings.model.max_tokens,
        labels=(),
    )
