"""A dossier is complete or it is not, and only an unfinished one of the same request is gone on with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.errors import ArtifactDamagedError, InputError
from data_contracts.records.base import digest_file
from data_contracts.records.decision import Outcome, RunReport
from data_contracts.records.evidence import Environment, RunRequest
from tasks.audit.overview import list_runs
from tasks.evidence.dossier import MANIFEST, Dossier, find_dossier, list_dossiers, open_dossier
from tasks.evidence.files import write_atomically
from tests.tasks.evidence.made import finish

DIGEST = "sha256:" + "0" * 64


def request(run_id: str, settings_digest: str = DIGEST) -> RunRequest:
    environment = Environment(
        python="3.11",
        platform="Linux",
        processor="x",
        processor_count=2,
        memory_bytes=1,
        packages={},
        code=DIGEST,
    )
    return RunRequest(
        run_id=run_id,
        settings={"name": "trec"},
        settings_digest=settings_digest,
        requested_by="somebody",
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        environment=environment,
    )


def report(dossier: Dossier) -> RunReport:
    return RunReport(
        run_id=dossier.folder.name,
        name="trec",
        outcome=Outcome.INCONCLUSIVE,
        sentence="More rows.",
        decisions=(),
        accepted_artifact=None,
        seconds=1.0,
        peak_memory_bytes=1,
        dossier=str(dossier.folder),
    )


def begin(output: Path, settings_digest: str = DIGEST) -> str:
    """Starts a run and leaves it unfinished."""
    with open_dossier(output, "trec", settings_digest) as dossier:
        dossier.write_request(request(dossier.folder.name, settings_digest))
        return dossier.folder.name


def test_the_manifest_names_every_file_with_its_digest(tmp_path: Path) -> None:
    with open_dossier(tmp_path, "trec", DIGEST) as dossier:
        dossier.write_request(request(dossier.folder.name))
        stage = tmp_path / "stage"
        (stage / "adapter").mkdir(parents=True)
        (stage / "adapter" / "weights.safetensors").write_bytes(b"weights")
        dossier.add_stage("pilot", stage)
        assert not dossier.complete
        dossier.write_report(report(dossier))
        finish(dossier)
    listed = {file.path: file.sha256 for file in dossier.manifest().files}
    present = {
        path.relative_to(dossier.folder).as_posix(): digest_file(path)
        for path in dossier.folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    assert listed == present
    assert "pilot/adapter/weights.safetensors" in listed


def test_an_unfinished_run_goes_on_in_its_dossier(tmp_path: Path) -> None:
    first = begin(tmp_path)
    assert begin(tmp_path) == first


def test_another_request_or_an_ended_run_gets_a_new_dossier(tmp_path: Path) -> None:
    first = begin(tmp_path)
    assert begin(tmp_path, "sha256:" + "1" * 64) != first
    with open_dossier(tmp_path, "trec", DIGEST) as dossier:
        assert dossier.folder.name == first
        dossier.write_report(report(dossier))
        finish(dossier)
    assert begin(tmp_path) != first


def test_a_dossier_in_use_is_left_alone(tmp_path: Path) -> None:
    first = begin(tmp_path)
    with open_dossier(tmp_path, "trec", DIGEST) as dossier:
        assert dossier.folder.name == first
        assert begin(tmp_path) != first


def test_it_is_in_use_as_long_as_a_process_is_at_work_in_it(tmp_path: Path) -> None:
    with open_dossier(tmp_path, "trec", DIGEST) as dossier:
        dossier.write_request(request(dossier.folder.name))
        assert dossier.in_use
        assert [entry.sentence for entry in list_runs(tmp_path)] == ["At work now."]
    assert not dossier.in_use
    assert [entry.sentence for entry in list_runs(tmp_path)] == ["Broken off: the same command goes on."]


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    name = begin(tmp_path)
    assert find_dossier(tmp_path, name[:8]).folder.name == name
    assert find_dossier(tmp_path, str(tmp_path / name)).folder.name == name
    with pytest.raises(InputError, match="0 runs whose id begins so"):
        find_dossier(tmp_path, "other")
    begin(tmp_path, "sha256:" + "1" * 64)
    with pytest.raises(InputError, match="2 runs whose id begins so"):
        find_dossier(tmp_path, "trec")


def test_a_damaged_request_is_said_to_be_damaged(tmp_path: Path) -> None:
    name = begin(tmp_path)
    (tmp_path / name / "request.yaml").write_text("run_id: [", encoding="utf-8")
    with pytest.raises(ArtifactDamagedError, match=r"request\.yaml"):
        list_dossiers(tmp_path)[0].request()


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
