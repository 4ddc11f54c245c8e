"""Full fine-tuning in another work pool: asked for by the run, and done there under the run's own permit.

What trains there opens the dossier, redeems the permit that lies in it, and puts the finished stage into the
store that both share; the run that asked then finds it, as it would after a crash. There is no other way in
than that of any full fine-tuning: without a permit for exactly this training nothing is read.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from data_contracts.cache import cache_folder
from data_contracts.errors import ArtifactDamagedError, BrokenOffError, InputError, LorafirstError
from data_contracts.records.base import digest_file
from data_contracts.records.evidence import ArtifactKind, Environment, TrainingEvidence
from data_contracts.records.ledger import EntryKind
from data_contracts.records.settings import RunSettings
from data_contracts.records.snapshot import ReplayEvidence, Snapshot, Split
from data_contracts.records.tables import TableFile
from tasks.evidence.dossier import Dossier
from tasks.evidence.environment import capture_environment
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.records import read_record
from tasks.evidence.store import RECORD_FILE, Stored
from tasks.stages.computing import memory_of_each
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Trained
from tasks.stages.permits import require_asked_for
from tasks.stages.training import full_work, train_full, training_key
from tasks.stages.watching import listener
from tasks.training.base_model import resolve_base_model

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

_POLL_SECONDS = 2.0


def require_deployment(settings: RunSettings) -> None:
    """Returns only if the server has the deployment that is to do full fine-tuning, or none is named.

    Raises:
        InputError: it has none of that name.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    name = settings.compute.full_on
    if name is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.read_deployment_by_name(name)
    except ObjectNotFound as error:
        raise InputError.single(
            "compute.full_on",
            expected="a deployment of the server that the run is on",
            found=name,
            remedy="start the run on a server that has it (`lorafirst up`), or leave it out",
        ) from error


def train_elsewhere(
    context: RunContext, findings: Findings, *, pilot: Trained, learning_rate: float, seed: int
) -> None:
    """Has the deployment of the settings train, and returns when it has.

    Raises:
        BrokenOffError: it was killed there.
        LorafirstError: it did not get to its end there.
    """
    from prefect.deployments import run_deployment

    name = context.settings.compute.full_on
    assert name is not None
    adapter = pilot.stored.folder / ArtifactKind.ADAPTER
    full = context.settings.full
    key = training_key(context, findings, full, adapter=adapter, learning_rate=learning_rate, seed=seed)
    listener().noted(f"Full fine-tuning, seed {seed}, takes place as {name}.")
    asked = run_deployment(
        name,
        parameters={
            "run": context.run_id,
            "output": str(context.settings.output),
            "pilot": pilot.folder,
            "learning_rate": learning_rate,
            "seed": seed,
            "stage": key.folder_name,
        },
        # Asked twice by one attempt, it is one run; after a crash of this one it is a new one, since a server
        # answers a key that it knows with the old run, be it a crashed one.
        idempotency_key=f"{context.run_id}:{key.folder_name}:{_attempt(context)}",
        poll_interval=_POLL_SECONDS,
    )
    run = cast("FlowRun", asked)  # there is no asynchronous caller, which would get a promise
    state = run.state
    if state is None or not state.is_completed():
        said = "without a state" if state is None else f"as {state.name}: {state.message}"
        kind = BrokenOffError if state is not None and state.is_crashed() else LorafirstError
        raise kind(
            f"Full fine-tuning as {name} ended {said}\n"
            f"  to do: see its flow run {run.name}; the same command then goes on from its last checkpoint"
        )
    if not context.store.holds(key):
        raise LorafirstError(
            f"Full fine-tuning as {name} ended, and {context.store.root / key.folder_name} is not there\n"
            "  to do: have its worker see the same output folder under the same path"
        )


def train_for_run(dossier: Dossier, *, pilot: str, learning_rate: float, seed: int, stage: str) -> None:
    """One full fine-tuning of the dossier's run, from what lies in the dossier.

    Args:
        pilot: the folder of the best pilot in the dossier.
        stage: the folder in the store under which the run will look for it.

    Raises:
        InputError: the run has ended, or this installation's trainings are others than the run's.
        ArtifactDamagedError: the dossier lacks something, or holds other rows than it says.
        PermitRefusedError: no permit of the run covers exactly this; nothing was trained.
    """
    if dossier.complete:
        raise InputError.single(
            f"run {dossier.folder.name}",
            expected="a run that is at work, and has been given a permit",
            found="one that has ended",
            remedy="start the run itself, which asks for this where its policy and evidence allow it",
        )
    settings = RunSettings.as_written(dossier.request().settings)
    memory = memory_of_each(settings.compute.processes)
    context = RunContext(dossier.folder.name, settings, dossier, cache_folder(), memory)
    findings = Findings(base=resolve_base_model(settings.model.source, context.cache))
    folder = dossier.folder / "snapshot"
    findings.snapshot = Stored(read_record(folder / RECORD_FILE, Snapshot), folder, reused=True)
    for split in (Split.TRAIN, Split.TUNE):
        _require_file(folder, findings.snapshot.record.split(split).file)
    if settings.training.replay is not None:
        mixed = dossier.folder / "replay"
        findings.replay = Stored(read_record(mixed / RECORD_FILE, ReplayEvidence), mixed, reused=True)
        _require_file(mixed, findings.replay.record.file)
    trained = dossier.folder / pilot
    stored = Stored(read_record(trained / RECORD_FILE, TrainingEvidence), trained, reused=True)
    best = Trained(pilot, stored)
    adapter = trained / ArtifactKind.ADAPTER
    key = training_key(
        context, findings, settings.full, adapter=adapter, learning_rate=learning_rate, seed=seed
    )
    require_asked_for(
        context, full_work(context, findings, pilot=best, learning_rate=learning_rate, seed=seed)
    )
    if key.folder_name != stage:
        raise _other_installation(dossier.request().environment)
    train_full(context, findings, pilot=best, learning_rate=learning_rate, seed=seed)


def _other_installation(asked: Environment) -> InputError:
    """What a training depends on is not installed here as it is where the run is: it would not be found."""
    here = capture_environment()
    versions = {name: here.packages.get(name) for name in asked.packages}
    differing = [
        f"{name} {versions[name]} instead of {version}"
        for name, version in asked.packages.items()
        if versions[name] != version
    ]
    if asked.code != here.code:
        differing.append("other code of lorafirst")
    return InputError.single(
        "this worker's installation",
        expected="the versions that the run has, so that it finds what is trained here",
        found=", ".join(differing) or "another key of the same training",
        remedy="install the same versions on both, builds included",
    )


def _require_file(folder: Path, file: TableFile) -> None:
    if digest_file(folder / file.path) != file.sha256:
        raise ArtifactDamagedError(f"{folder / file.path} is not the file that its record names")


def _attempt(context: RunContext) -> int:
    with open_ledger(ledger_location(context.settings.output)) as ledger:
        return sum(entry.kind is EntryKind.ATTEMPT for entry in ledger.entries(context.run_id))
