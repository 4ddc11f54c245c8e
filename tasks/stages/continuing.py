"""A pilot that goes on from the adapter of an earlier run: which adapters may, and what they have learned.

Such a pilot is a short way to a model that is good enough, and no fair test of its method: it has had other
rows and more steps. The fairness gate therefore asks for one from the base where it is short.
"""

from pathlib import Path

from data_contracts.errors import ArtifactDamagedError, InputError, PromotionRefusedError
from data_contracts.records.base import FolderRecord
from data_contracts.records.evidence import ArtifactKind
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings, RunSettings
from data_contracts.records.snapshot import Snapshot, Split
from tasks.audit.accepted import Accepted
from tasks.audit.candidates import Offered, offered_by
from tasks.data.checking.arrivals import identities
from tasks.evidence.dossier import REQUEST, Dossier
from tasks.evidence.redaction import REDACTION
from tasks.evidence.store import Stored
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.watching import listener
from tasks.training.methods.kinds import AdapterMethod
from tasks.training.methods.registry import methods

_JUDGED_BY = (Split.TUNE, Split.GATE, Split.RESERVE)
"""Splits whose rows a pilot must not have learned."""


def require_continuable(settings: RunSettings) -> None:
    """Returns only if ``pilot.continues`` names no run, or one whose adapter can be trained on.

    Raises:
        InputError: it cannot, with every reason.
        ArtifactDamagedError: its dossier or its adapter is damaged.
    """
    if settings.pilot.continues is None:
        return
    faults = faults_of(_continued(settings).accepted, settings)
    if faults:
        raise _refused(settings.pilot.continues, "; ".join(faults))


def faults_of(accepted: Accepted, settings: RunSettings) -> tuple[str, ...]:
    """Why a run with these settings could not train on what was accepted, a phrase each."""
    training, asked = accepted.training, settings.pilot
    if training.pilot is None:
        return (f"{training.rung} updated weights of the base",)
    faults = []
    method = methods().get(training.rung)
    if not (isinstance(method, AdapterMethod) and method.can_continue):
        faults.append(f"adapters of {training.rung} are not saved as they are trained")
    if training.served is not ArtifactKind.ADAPTER:
        faults.append("it was merged into the base")
    faults += [
        f"it is of another {what}: {theirs}"
        for what, theirs, ours in (
            ("task", accepted.settings.task.value, settings.task.value),
            ("method", accepted.settings.pilot.method, asked.method),
        )
        if theirs != ours
    ]
    return tuple(faults)


def first_settings(context: RunContext, findings: Findings, asked: PilotSettings) -> PilotSettings:
    """Of the first pilot: ``asked``, or how the adapter that it goes on from was trained in the end.

    Remedies may have changed its rank, places and rate since they were asked for. Where rows or the machine
    are in the way, it begins at the base, and the listener is told why.

    Raises:
        InputError: what ``require_continuable`` raises.
        ArtifactDamagedError: the dossier to go on from is damaged.
    """
    run = asked.continues
    if run is None:
        return asked
    offered = _continued(context.settings)
    reason = _in_the_way(context, findings, offered)
    if reason is not None:
        listener().noted(f"The pilot begins at the base, not at the adapter of {run}: {reason}.")
        return asked.model_copy(update={"continues": None})
    training = offered.accepted.training
    assert training.pilot is not None
    own = {"continues": run, "learning_rate": training.learning_rate, "merge": asked.merge}
    return training.pilot.model_copy(update=own)


def adapter_to_continue(settings: RunSettings, pilot: PilotSettings) -> Path | None:
    """The adapter that ``pilot`` begins with; ``None`` where it begins at the base.

    Raises:
        ArtifactDamagedError: it is not what its run accepted.
    """
    if pilot.continues is None:
        return None
    offered = _continued(settings)
    adapter = offered.dossier.folder / offered.accepted.artifact
    if FolderRecord.of(adapter).digest() != offered.candidate.artifact_digest:
        raise ArtifactDamagedError(
            f"{adapter} is not what its run accepted: its digest is another\n"
            "  to do: restore it, or leave out pilot.continues"
        )
    return adapter


def rows_learned(offered: Offered, rows: frozenset[str]) -> int | None:
    """How many of these identities the model was trained on, itself or the adapters that it went on from;
    ``None`` where rows of any of them were removed, or its dossier is gone."""
    learned: set[str] = set()
    while True:
        dossier = offered.dossier
        if (dossier.folder / REDACTION).exists():
            return None
        learned |= identities(dossier.folder / "snapshot", (Split.TRAIN,))
        pilot = offered.accepted.training.pilot
        if pilot is None or pilot.continues is None:
            return len(rows & learned)
        before = Dossier(dossier.folder.parent / pilot.continues)
        if not (before.folder / REQUEST).is_file():
            return None
        offered = offered_by(before)


def _in_the_way(context: RunContext, findings: Findings, offered: Offered) -> str | None:
    assert findings.snapshot is not None
    snapshot: Stored[Snapshot] = findings.snapshot
    accepted = offered.accepted
    if accepted.base.identity() != findings.base.identity():
        return "it was trained on another base"
    if accepted.snapshot.labels != snapshot.record.labels:
        return "it was trained for other labels"
    if accepted.training.rung != Rung.QLORA and not findings.unquantised_fits:
        return "it was not quantised, and only a quantised pilot fits this machine"
    learned = rows_learned(offered, frozenset(identities(snapshot.folder, _JUDGED_BY)))
    if learned is None:
        return "what it was trained on cannot be told any more"
    if learned:
        return f"it has learned {learned:,} of the rows that this run judges by"
    return None


def _continued(settings: RunSettings) -> Offered:
    run = settings.pilot.continues
    assert run is not None
    dossier = Dossier(settings.output / run)
    if not (dossier.folder / REQUEST).is_file():
        raise _refused(run, f"no such run in {settings.output}")
    try:
        return offered_by(dossier)
    except PromotionRefusedError as error:
        raise _refused(run, "; ".join(error.faults)) from error


def _refused(run: str, found: str) -> InputError:
    return InputError.single(
        f"pilot.continues: {run}",
        expected="a run in `output` that has accepted an adapter of this task and method",
        found=found,
        remedy="name another (`lorafirst runs`), or leave it out to begin at the base",
    )
