"""The folder of one run: every artifact, every decision, and last of all the manifest.

A dossier without ``manifest.json`` belongs to a run that has not ended. The same request started
again goes on in it; a request that has ended gets a new dossier.
"""

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import yaml
from filelock import FileLock, Timeout
from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError, EnvelopeRefusedError, InputError
from data_contracts.records.base import FileRecord, FolderRecord, Record
from data_contracts.records.bases import DecisionRecord
from data_contracts.records.decision import Decision, Gate, RunReport
from data_contracts.records.evidence import RunRequest
from data_contracts.records.ledger import Fault
from data_contracts.records.manifest import Manifest
from data_contracts.records.permit import Permit
from data_contracts.records.statements import DECISION_PREDICATE, MANIFEST_PREDICATE, PERMIT_PREDICATE
from tasks.evidence.files import flush_folder, link_folder, write_atomically
from tasks.evidence.records import read_record
from tasks.evidence.signing.payloads import key_ids, predicate_of, unverified_statement

R = TypeVar("R", bound=Record)

MANIFEST = "manifest.json"
REQUEST = "request.yaml"
REGISTRATION = "registration.json"
REPORT = "outcome.json"
APPROVAL = "approval.json"
PERMIT = "permit.json"
REDEMPTION = "redemption.json"
"""Beside the weights that were trained under it."""
REDEMPTIONS = "redemptions"
"""The folder of those of the run, one a seed."""
FAULT = "fault.json"
LOCKS = ".locks"
"""Beside the dossiers."""
_LOOK_SECONDS = 0.5
"""Whoever only looks whether a lock is held has let go by then."""


@dataclass(frozen=True)
class Dossier:
    """One run's folder."""

    folder: Path

    def write_request(self, request: RunRequest) -> None:
        content = yaml.safe_dump(request.json_value(), sort_keys=False, allow_unicode=True)
        write_atomically(self.folder / REQUEST, content.encode())

    def write_record(self, name: str, record: Record) -> None:
        write_atomically(self.folder / name, record.canonical_json())

    def write_page(self, name: str, page: str) -> None:
        write_atomically(self.folder / name, page.encode())

    def write_decision(self, number: int, gate: Gate, envelope: bytes) -> None:
        """``envelope`` holds the statement of a ``DecisionRecord``."""
        write_atomically(self.folder / f"decisions/{number:02}-{gate.value}.json", envelope)

    def write_approval(self, envelope: bytes) -> None:
        """``envelope`` holds the statement of the ``Approval`` that the escalation gate was told."""
        write_atomically(self.folder / APPROVAL, envelope)

    def write_permit(self, envelope: bytes) -> None:
        """``envelope`` holds the statement of a ``Permit``."""
        write_atomically(self.folder / PERMIT, envelope)

    def permit(self) -> Permit | None:
        """What the permit says, whoever signed it; ``None`` without one.

        Raises:
            ArtifactDamagedError: the file holds no such statement.
        """
        path = self.folder / PERMIT
        try:
            return read_permit(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, EnvelopeRefusedError) as error:
            raise ArtifactDamagedError(f"{path} cannot be read as a permit: {error}") from error

    def add_stage(self, name: str, stored: Path) -> None:
        """Links the files of a finished stage into the folder ``name`` of the dossier."""
        link_folder(stored, self.folder / name)

    def write_report(self, report: RunReport) -> None:
        self.write_record(REPORT, report)

    def write_fault(self, fault: Fault) -> None:
        """Why the run broke off; the next attempt takes it away."""
        self.write_record(FAULT, fault)

    def contents(self) -> tuple[FileRecord, ...]:
        """Every file but the manifest, hashed now."""
        return tuple(file for file in FolderRecord.of(self.folder).files if file.path != MANIFEST)

    def finish(self, envelope: bytes) -> None:
        """Writes the manifest, the statement of a ``Manifest``, last: the dossier is now complete."""
        write_atomically(self.folder / MANIFEST, envelope)
        flush_folder(self.folder)

    def clear(self) -> None:
        """Removes what an interrupted attempt left, the request aside.

        The next attempt may run on other data or other code; nothing of the earlier one may end up in its
        manifest. Finished stages are in the store and are linked again.
        """
        for path in self.folder.iterdir():
            if path.name == REQUEST:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def discard_if_undecided(self) -> None:
        """Removes a dossier that holds no decision yet: input that cannot be used leaves nothing behind."""
        if not self.complete and not self.decisions():
            shutil.rmtree(self.folder)

    @property
    def in_use(self) -> bool:
        """Whether a process is at work in it now; one that died is at work in nothing."""
        try:
            with (self.folder.parent / LOCKS / f"{self.folder.name}.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def complete(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    def manifest(self) -> Manifest:
        """What it held when it was completed, whoever signed that; raises ``ArtifactDamagedError``."""
        return _stated(self.folder / MANIFEST, MANIFEST_PREDICATE, Manifest)

    def request(self) -> RunRequest:
        """Raises ``ArtifactDamagedError`` if the request cannot be read."""
        path = self.folder / REQUEST
        try:
            return RunRequest.as_written(dict(yaml.safe_load(path.read_bytes())))
        except (OSError, ValidationError, yaml.YAMLError, TypeError, ValueError) as error:
            raise ArtifactDamagedError(f"{path} cannot be read as a request: {error}") from error

    def report(self) -> RunReport | None:
        """How the run ended; ``None`` while it has not."""
        if not self.complete:
            return None
        return read_record(self.folder / REPORT, RunReport, called="a report")

    def decisions(self) -> tuple[Decision, ...]:
        """Those of ``decision_records`` alone."""
        return tuple(record.judgement.decision for record in self.decision_records())

    def decision_records(self) -> tuple[DecisionRecord, ...]:
        """In the order in which they were made, whoever signed them.

        Raises:
            ArtifactDamagedError: a file holds no such statement.
        """
        return tuple(read_decision(path) for path in self.decision_paths())

    def signed_by(self) -> tuple[str, ...]:
        """Ids of the keys that every decision claims to be signed by; empty where one is unsigned."""
        claimed = [key_ids(path.read_bytes()) for path in self.decision_paths()]
        return tuple(sorted(frozenset.intersection(*claimed))) if claimed else ()

    def decision_paths(self) -> tuple[Path, ...]:
        """The files of the decisions, in the order in which they were made."""
        return tuple(sorted((self.folder / "decisions").glob("[0-9]*.json")))


def read_decision(path: Path) -> DecisionRecord:
    """What the envelope in a file says was decided; raises ``ArtifactDamagedError``."""
    return _stated(path, DECISION_PREDICATE, DecisionRecord)


def _stated(path: Path, predicate: str, kind: type[R]) -> R:
    try:
        return predicate_of(unverified_statement(path.read_bytes()), predicate, kind)
    except (OSError, EnvelopeRefusedError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read as {kind.__name__}: {error}") from error


def read_permit(envelope: bytes) -> Permit:
    """What an envelope says was permitted, whoever signed it; raises ``EnvelopeRefusedError``."""
    return predicate_of(unverified_statement(envelope), PERMIT_PREDICATE, Permit)


@contextmanager
def open_dossier(output: Path, name: str, settings_digest: str) -> Iterator[Dossier]:
    """An unfinished dossier of the same request to go on with, or a new one; locked while in use."""
    for dossier in list_dossiers(output):
        if dossier.complete or not dossier.folder.name.startswith(f"{name}-"):
            continue
        try:
            if dossier.request().settings_digest != settings_digest:
                continue
        except ArtifactDamagedError:
            continue
        lock = _lock(output, dossier.folder.name)
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
        except Timeout:
            continue  # another process is at work in it
        try:
            if not dossier.complete:
                yield dossier
                return
        finally:
            lock.release()
    run_id = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = output / run_id
    folder.mkdir(parents=True)
    with _lock(output, run_id):
        yield Dossier(folder)


def list_dossiers(output: Path) -> tuple[Dossier, ...]:
    """All dossiers below ``output``, newest first."""
    requests = sorted(output.glob(f"*/{REQUEST}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return tuple(Dossier(path.parent) for path in requests)


def find_dossier(output: Path, run: str) -> Dossier:
    """The dossier named ``run``: a run id, the beginning of one, or a path.

    Raises:
        InputError: none, or several.
    """
    if (Path(run) / REQUEST).is_file():
        return Dossier(Path(run))
    known = [dossier for dossier in list_dossiers(output) if dossier.folder.name.startswith(run)]
    exact = [dossier for dossier in known if dossier.folder.name == run]
    if len(exact or known) == 1:
        return (exact or known)[0]
    raise InputError.single(
        f"run {run!r} in {output}",
        expected="a run id, the beginning of one, or the path of a dossier",
        found=f"{len(known)} runs whose id begins so",
        remedy="`lorafirst runs` lists them",
    )


def run_among(output: Path, run: str) -> str:
    """The whole id of the run ``run``, named as for ``find_dossier``, whose dossier lies in ``output``.

    Raises:
        InputError: none, several, or one that lies elsewhere.
    """
    folder = find_dossier(output, run).folder.resolve()
    if folder.parent != output.resolve():
        raise InputError.single(
            f"run {run!r}",
            expected=f"a dossier in {output}, beside its ledger and registry",
            found=f"one in {folder.parent}",
            remedy=f"name that folder: --output {folder.parent}",
        )
    return folder.name


def _lock(output: Path, run_id: str) -> FileLock:
    folder = output / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{run_id}.lock", timeout=0)
