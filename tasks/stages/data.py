"""The stages before training: the base model, the contract, the snapshot."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.records.base import digest_file
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.settings import DataSettings, RunSettings
from data_contracts.records.snapshot import ContractEvidence, Snapshot, Split
from tasks.data.checking.checked_rows import checked_tables
from tasks.data.checking.contract import ACCEPTED, REJECTED, check_contract, load_contract
from tasks.data.likeness.earlier import find_earlier
from tasks.data.pages.datasheet_files import write_datasheet
from tasks.data.reading.source_files import find_data_files, is_hub_id
from tasks.data.reading.sources import SourceRows, read_rows
from tasks.data.snapshot.freezing import freeze_snapshot
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.evidence.environment import DATA_PACKAGES, code_digest, package_versions
from tasks.evidence.store import StageKey, Stored
from tasks.stages.artifacts import show_datasheet
from tasks.stages.context import RunContext
from tasks.stages.measure import measured
from tasks.stages.watching import listener
from tasks.training.base_model import require_room_for, resolve_base_model
from tasks.training.methods.possible import require_possible
from tasks.training.model_inputs import require_readable_tokens


def require_readable(settings: RunSettings) -> None:
    """Finds the data files and reads the contract, before minutes go into converting a model.

    Raises:
        InputError: either is not there or cannot be used.
    """
    if not is_hub_id(settings.data.source):
        find_data_files(settings.data.source)
    replay = settings.training.replay
    if replay is not None and not is_hub_id(replay.source):
        find_data_files(replay.source)
    load_contract(_contract_path(settings), settings.task)
    find_earlier(settings.data.earlier)


@task(name="base model", cache_policy=NO_CACHE)
def find_base_model(context: RunContext) -> BaseModelRecord:
    """The base model as a local folder; converted first where it comes as GGUF."""
    settings = context.settings
    with measured() as measurement:
        base = resolve_base_model(settings.model.source, context.cache)
        require_possible(base, settings.task, settings.pilot, settings.full)
        require_room_for(base, settings.model.max_tokens)
        tokenizer = load_tokenizer(Path(base.folder))
        require_readable_tokens(base, tokenizer, settings.task, settings.model.max_tokens)
    context.dossier.write_record("base-model.json", base)
    line = f"{base.architecture}, {base.parameters / 1e6:,.1f}M parameters"
    listener().stage_ended("base model", line, measurement.cost, False)
    return base


@task(name="contract", cache_policy=NO_CACHE)
def check_data(context: RunContext, base: BaseModelRecord) -> Stored[ContractEvidence]:
    """The data held against its contract; accepted and rejected rows are stored."""
    settings = context.settings
    contract = load_contract(_contract_path(settings), settings.task)
    earlier = find_earlier(settings.data.earlier)
    # A hub's data is known only once it is here; local files are known by their digests.
    hub_rows = read_rows(settings.data, settings.task) if is_hub_id(settings.data.source) else None
    key = StageKey(
        stage="contract",
        inputs={
            "task": settings.task.value,
            "sources": source_identity(settings.data, hub_rows),
            "columns": settings.data.columns.model_dump(mode="json"),
            "form": settings.data.form,
            "contract": contract.digest,
            "tokenizer": base.identity(),
            "max_tokens": settings.model.max_tokens,
            "splits": settings.splits.model_dump(mode="json"),
            "earlier": list(earlier.digests()),
        },
        code=code_digest("data_contracts", "tasks.data", "tasks.stages.data"),
        packages=package_versions(DATA_PACKAGES),
    )

    def build(folder: Path) -> ContractEvidence:
        with measured() as checking:
            evidence = check_contract(
                hub_rows or read_rows(settings.data, settings.task),
                contract=contract,
                task=settings.task,
                tokenizer=load_tokenizer(Path(base.folder)),
                max_tokens=settings.model.max_tokens,
                splits=settings.splits,
                folder=folder,
                earlier=earlier,
            )
        accepted, rejected = checked_tables(folder / ACCEPTED, folder / REJECTED, settings.task)
        kept = {"accepted": accepted, "rejected": rejected}
        return evidence.model_copy(update={**kept, "cost": checking.cost})

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, ContractEvidence, build)
    context.dossier.add_stage("contract", stored.folder)
    evidence = stored.record
    line = (
        f"{evidence.rows_accepted:,} of {evidence.rows_read:,} rows accepted, "
        f"{evidence.rows_quarantined:,} set aside"
    )
    for note in evidence.notes:
        listener().stage_ended("columns", note, None, False)
    listener().stage_ended("contract", line, measurement.cost, stored.reused)
    return stored


@task(name="snapshot", cache_policy=NO_CACHE)
def freeze_data(context: RunContext, checked: Stored[ContractEvidence]) -> Stored[Snapshot]:
    """The accepted rows in their splits, content-addressed."""
    key = StageKey(
        stage="snapshot",
        inputs={"checked": checked.folder.name},
        code=code_digest("data_contracts", "tasks.data", "tasks.stages.data"),
        packages=package_versions(DATA_PACKAGES),
    )

    def build(folder: Path) -> Snapshot:
        contract = load_contract(_contract_path(context.settings), context.settings.task)
        snapshot = freeze_snapshot(checked.folder, checked.record, folder)
        version = package_versions(("lorafirst",))["lorafirst"]
        write_datasheet(folder, snapshot, checked.record, contract.stated, version=version)
        return snapshot

    with measured() as measurement:
        stored = context.store.reuse_or_build(key, Snapshot, build)
    context.dossier.add_stage("snapshot", stored.folder)
    show_datasheet(stored.folder)
    line = ", ".join(f"{split.value} {stored.record.split(split).rows:,}" for split in Split)
    listener().stage_ended("snapshot", line, measurement.cost, stored.reused)
    return stored


def _contract_path(settings: RunSettings) -> Path | None:
    return Path(settings.data.contract) if settings.data.contract else None


def source_identity(data: DataSettings, rows: SourceRows | None) -> list[list[str]]:
    """Name and digest of every source file, so that unchanged data is recognised without parsing it."""
    if rows is not None:
        return [[file.name, file.sha256] for file in rows.files]
    return [
        [file.name, digest_file(file.path), *(f"{key}={value}" for key, value in file.partitions)]
        for file in find_data_files(data.source)
    ]
