"""New data beside those of the champion: contract, arrivals, drift, and the champion on fresh rows."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.records.base import utc_time
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.registry import ModelVersion
from data_contracts.records.retraining import Arrivals, DataFindings, FreshScores
from data_contracts.records.settings import RunSettings, StartFrom
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split
from tasks.audit.candidates import Offered, offered_by
from tasks.audit.registered import dossier_of
from tasks.data.checking.arrivals import arrivals_in, drift_limits, fresh_rows
from tasks.data.checking.contract import load_contract
from tasks.decisions.retraining import drift_signs
from tasks.decisions.statistics import seeded_mean_interval
from tasks.evidence.dossier import REQUEST, Dossier
from tasks.evidence.environment import capture_environment
from tasks.evidence.files import write_atomically
from tasks.evidence.redaction import REDACTION
from tasks.evidence.scores import read_scores
from tasks.evidence.store import Stored
from tasks.registry.models import champion_of, registry_at_hand
from tasks.registry.place import FOLDER
from tasks.stages.computing import resolved
from tasks.stages.context import RunContext
from tasks.stages.continuing import faults_of
from tasks.stages.data import check_data, find_base_model
from tasks.stages.findings import Findings, Subject
from tasks.stages.rivals import base_of
from tasks.stages.scoring import score_artifact
from tasks.stages.watching import listener

DRIFT = "drift"
"""Below the output folder, a folder a model: what was found, in figures alone."""
FEWEST_FRESH = 30
"""With fewer rows nothing can be told of a mean."""
_OF_THE_PLACE = frozenset(
    {"name", "data", "output", "compute", "license", "machine_hour_price", "retrain", "notifications"}
)
"""Sections of the settings that say nothing about the model itself, or what new data change anyway."""


@dataclass(frozen=True)
class Champion:
    """The model in use, with what its run left."""

    version: ModelVersion
    offered: Offered

    @property
    def snapshot(self) -> Path | None:
        """Its folder; ``None`` where the texts were removed from it."""
        folder = self.offered.dossier.folder
        return None if (folder / REDACTION).exists() else folder / "snapshot"


def champion_in(output: Path, model: str) -> Champion | None:
    """Raises ``ArtifactDamagedError`` if its dossier is gone or its artifact another."""
    registry = registry_at_hand(output)
    version = None if registry is None else champion_of(registry.versions(model))
    if version is None:
        return None
    return Champion(version, offered_by(dossier_of(version, output)))


def beside(settings: RunSettings, champion: Champion) -> RunSettings:
    """The settings of a run that follows the champion: nothing like the rows that it was judged by is learned
    from, and drift is measured from its snapshot."""
    if champion.snapshot is None or str(champion.snapshot) in settings.data.earlier:
        return settings
    earlier = (*settings.data.earlier, str(champion.snapshot))
    return settings.model_copy(update={"data": settings.data.model_copy(update={"earlier": earlier})})


def begun_at(settings: RunSettings, champion: Champion) -> RunSettings:
    """The settings with a first pilot that goes on from the champion's adapter, where ``retrain`` asks for it
    and that adapter can be trained on; why not is told to the listener."""
    if settings.retrain.start_from is not StartFrom.CHAMPION:
        return settings
    accepted = champion.offered.accepted
    faults = faults_of(accepted, settings)
    other = {"model", "pilot"} & set(changed_settings(settings, accepted.settings))
    if other:
        faults += (f"other settings are asked for than the champion's: {', '.join(sorted(other))}",)
    if not (settings.output / champion.version.candidate.run_id / REQUEST).is_file():
        faults += (f"its dossier is not in {settings.output}",)
    if faults:
        listener().noted(f"The first pilot begins at the base, not at the champion's: {'; '.join(faults)}.")
        return settings
    continues = {"continues": champion.version.candidate.run_id}
    return settings.model_copy(update={"pilot": settings.pilot.model_copy(update=continues)})


@task(name="compare with the champion", cache_policy=NO_CACHE)
def examine_data(settings: RunSettings, champion: Champion, *, always_score: bool) -> DataFindings:
    """What the data of ``settings`` are beside the champion's; kept as figures below the output folder.

    The champion is scored on fresh rows only where nothing else speaks for training anew, unless
    ``always_score``: that takes as long as a look at the gate.

    Raises:
        InputError: they are of another task.
    """
    _require_same_task(settings, champion)
    settings = beside(settings, champion)
    scratch = settings.output / FOLDER
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".looking-") as folder:
        context = RunContext(
            run_id=f"{settings.name}-drift",
            settings=settings,
            dossier=Dossier(Path(folder)),
            cache=cache_folder(),
            memory_bytes=capture_environment().memory_bytes,
        )
        base = find_base_model(context)
        checked = check_data(context, base)
        findings = _compared(settings, champion, checked)
        if always_score or not drift_signs(findings):
            findings = _with_scores(context, champion, checked, findings)
    _keep(settings.output, findings)
    return findings


def _require_same_task(settings: RunSettings, champion: Champion) -> None:
    """Rows of another task have other columns, and nothing of them can be compared."""
    theirs = champion.offered.accepted.settings.task
    if settings.task is not theirs:
        raise InputError.single(
            f"model {settings.name!r}",
            expected=f"the task of its champion, {theirs.value}",
            found=settings.task.value,
            remedy="give the new work a `name` of its own, under which it begins without a champion",
        )


def _compared(settings: RunSettings, champion: Champion, checked: Stored[ContractEvidence]) -> DataFindings:
    accepted = champion.offered.accepted
    contract = load_contract(Path(settings.data.contract) if settings.data.contract else None, settings.task)
    arrivals: Arrivals | None = None
    if champion.snapshot is not None:
        arrivals = arrivals_in(checked.folder, champion.snapshot, labels=accepted.snapshot.labels)
    return DataFindings(
        model=settings.name,
        champion_version=champion.version.version,
        champion_run=champion.version.candidate.run_id,
        contract=checked.record.digest(),
        broken_rules=tuple(rule.name for rule in checked.record.rules if rule.blocks),
        limits=drift_limits(contract),
        arrivals=arrivals,
        changed_settings=changed_settings(settings, accepted.settings),
        other_work=other_work(
            settings,
            labels=checked.record.labels,
            champion=accepted.settings,
            known=accepted.snapshot.labels,
        ),
        fresh=None,
        not_scored="something else speaks for training anew already",
        at=utc_time(datetime.now(UTC)),
    )


def changed_settings(now: RunSettings, before: RunSettings) -> tuple[str, ...]:
    """Names of the sections in which they would give another model."""
    # A request holds the precision that its run computed in, where the settings may leave it to the machine.
    sides = (resolved(now), resolved(before))
    left_out: dict[str, Any] = {**dict.fromkeys(_OF_THE_PLACE, True), "pilot": {"continues"}}
    one, other = (each.model_dump(mode="json", exclude=left_out) for each in sides)
    return tuple(name for name in one if one[name] != other[name])


def other_work(
    now: RunSettings, *, labels: tuple[str, ...], champion: RunSettings, known: tuple[str, ...]
) -> tuple[str, ...]:
    """What the promotion gate would refuse to compare beside another task, a phrase each.

    Args:
        labels: of the accepted rows.
        known: that the champion knows.
    """
    sides = (
        ("metric", now.policy.metric, champion.policy.metric),
        ("labels", ", ".join(labels), ", ".join(known)),
    )
    return tuple(
        f"other {what}: {one or 'none'}, beside {other or 'none'}"
        for what, one, other in sides
        if one != other
    )


def _with_scores(
    context: RunContext,
    champion: Champion,
    checked: Stored[ContractEvidence],
    findings: DataFindings,
) -> DataFindings:
    policy = context.settings.policy
    crowned = champion.version.crowned
    if champion.snapshot is None or crowned is None:
        return findings.model_copy(update={"not_scored": "the champion's rows were removed"})
    if policy.metric != champion.version.candidate.metric:
        reason = f"it was promoted by {champion.version.candidate.metric}, not by {policy.metric}"
        return findings.model_copy(update={"not_scored": reason})
    fresh = _fresh(context, champion, checked)
    rows = fresh.record.split(Split.TUNE).rows
    if rows < FEWEST_FRESH:
        reason = f"{rows:,} fresh rows are no basis; {FEWEST_FRESH} would be one"
        return findings.model_copy(update={"not_scored": reason})
    served = champion.offered.accepted.settings
    own = RunContext(
        run_id=context.run_id,
        settings=context.settings.model_copy(update={"model": served.model, "generation": served.generation}),
        dossier=context.dossier,
        cache=context.cache,
        memory_bytes=context.memory_bytes,
    )
    base: BaseModelRecord = base_of(own, champion.offered)
    training = champion.offered.accepted.training
    artifact = champion.offered.dossier.folder / champion.offered.accepted.artifact
    subject = Subject(training.rung, artifact, training.artifact.digest())
    scored = score_artifact(own, Findings(base=base, snapshot=fresh), subject, "champion", Split.TUNE)
    values = read_scores(scored.folder, policy.metric).values[None, :]
    span = (policy.measure.maximum or float(values.max())) - policy.measure.minimum
    interval = seeded_mean_interval(
        values, binary=policy.measure.binary, alpha=policy.alpha, span=max(span, 1e-9)
    )
    scores = FreshScores(
        metric=policy.measure, fresh=interval, promoted=crowned.score, evidence=scored.record.digest()
    )
    return findings.model_copy(update={"fresh": scores, "not_scored": ""})


def _fresh(context: RunContext, champion: Champion, checked: Stored[ContractEvidence]) -> Stored[Snapshot]:
    """Kept for as long as they are scored; rows lie in enough places."""
    assert champion.snapshot is not None
    folder = context.dossier.folder / "fresh"
    folder.mkdir()
    labels = champion.offered.accepted.snapshot.labels
    made = fresh_rows(checked.folder, checked.record, champion.snapshot, labels=labels, folder=folder)
    return Stored(made, folder, False)


def _keep(output: Path, findings: DataFindings) -> None:
    name = findings.at.replace(":", "").replace(".", "-")
    write_atomically(output / DRIFT / findings.model / f"{name}.json", findings.canonical_json())
