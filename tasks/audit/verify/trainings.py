"""Artifacts: each the one that its training names, on this base and these rows; base weights by permit."""

from collections.abc import Iterator

from data_contracts.records.base import FolderRecord
from data_contracts.records.evidence import ArtifactKind, TrainingEvidence
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held


def training_faults(held: Held) -> Iterator[FoundFault]:
    for name, record in held.trainings.items():
        yield from _training(held, name, record)
    if held.baseline is not None:
        yield from _artifact(held, f"baseline/{ArtifactKind.PROBE}", held.baseline.artifact)
        yield from _same(held, "baseline/evidence.json", held.baseline.base_model, held.baseline.snapshot)


def _training(held: Held, name: str, record: TrainingEvidence) -> Iterator[FoundFault]:
    file = f"{name}/evidence.json"
    yield from _artifact(held, f"{name}/{record.served}", record.artifact)
    yield from _same(held, file, record.base_model, record.snapshot)
    if (record.pilot is None) == (record.full is None):
        yield _fault(file, "it is neither a pilot alone nor alone what updates base weights")
    if record.full is not None and record.permit is None:
        yield _fault(file, "base weights were updated without a permit")
    if record.full is None and record.permit is not None:
        yield _fault(file, "a pilot names a permit, which it needs none of")
    if record.pilot is not None and (record.pilot.continues is None) != (record.start is None):
        yield _fault(file, "it does not say of one run what it went on from")


def _same(held: Held, file: str, base: str, snapshot: str) -> Iterator[FoundFault]:
    if held.base is not None and base != held.base.identity():
        yield _fault(file, f"it was trained on the base {base}, not on this run's")
    if held.snapshot is not None and snapshot != held.snapshot.digest():
        yield _fault(file, f"it was trained on the snapshot {snapshot}, not on this run's")


def _artifact(held: Held, folder: str, expected: FolderRecord) -> Iterator[FoundFault]:
    place = held.folder / folder
    if not place.is_dir():
        yield _fault(folder, "it is not there")
        return
    found = {file.path: file for file in FolderRecord.of(place, held.digest).files}
    named = {file.path: file for file in expected.files}
    for path in sorted(set(found) | set(named)):
        if path not in found:
            yield _fault(f"{folder}/{path}", "it is not there, and its training names it")
        elif path not in named:
            yield _fault(f"{folder}/{path}", "its training does not name it")
        elif found[path] != named[path]:
            yield _fault(f"{folder}/{path}", "it is not the file that was trained")


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.TRAININGS, where=where, what=what)
