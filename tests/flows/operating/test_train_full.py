"""Full fine-tuning in a pool of its own has no way in but a permit of the run that asks for it."""

import shutil
from pathlib import Path

import pytest

from data_contracts.errors import ArtifactDamagedError, InputError, PermitRefusedError
from data_contracts.records.ledger import EntryKind
from data_contracts.records.settings import RunSettings
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.stages.elsewhere import require_deployment, train_for_run
from tests.flows.conftest import small_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def dossier(answered: Path, tmp_path: Path) -> Dossier:
    """A run that is at work, as it were, and accepted a pilot instead of having been given a permit."""
    folder = tmp_path / "runs" / answered.name
    shutil.copytree(answered, folder)
    shutil.copy(answered.parent / "ledger.sqlite", tmp_path / "runs")
    (folder / "manifest.json").unlink()
    request = Dossier(folder).request()
    settings = {**request.settings, "output": str(tmp_path / "runs")}
    Dossier(folder).write_request(request.model_copy(update={"settings": settings}))
    return Dossier(folder)


def pilot_of(dossier: Dossier) -> str:
    (pilot,) = (path.name for path in dossier.folder.glob("pilot-1-*"))
    return pilot


def test_without_a_permit_nothing_is_trained(dossier: Dossier, tmp_path: Path) -> None:
    with pytest.raises(PermitRefusedError, match="has redeemed none for the training"):
        train_for_run(dossier, pilot=pilot_of(dossier), learning_rate=1e-4, seed=17, stage="train-full-0")
    assert not (dossier.folder / "full").exists()
    assert not list((tmp_path / "runs").glob(".store/train-full-*"))
    with open_ledger(ledger_location(tmp_path / "runs"), read_only=True) as ledger:
        kinds = {entry.kind for entry in ledger.entries()}
    assert EntryKind.PERMIT_REDEEMED not in kinds


def test_a_run_that_has_ended_is_left_as_it_is(answered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in answered.rglob("*")}
    with pytest.raises(InputError, match="one that has ended"):
        train_for_run(
            Dossier(answered),
            pilot=pilot_of(Dossier(answered)),
            learning_rate=1e-4,
            seed=17,
            stage="train-full-0",
        )
    assert {path: path.stat().st_mtime_ns for path in answered.rglob("*")} == before


def test_rows_that_are_not_those_of_the_run_are_refused(dossier: Dossier) -> None:
    rows = dossier.folder / "snapshot" / "train.parquet"
    content = rows.read_bytes()
    rows.unlink()
    rows.write_bytes(content + b" ")
    with pytest.raises(ArtifactDamagedError, match=r"train\.parquet is not the file"):
        train_for_run(dossier, pilot=pilot_of(dossier), learning_rate=1e-4, seed=17, stage="train-full-0")


def test_a_deployment_that_is_not_there_is_told_before_anything_else(api: str) -> None:
    settings = small_settings(Path("rows.jsonl"), compute={"full_on": "train-full/train-full"})
    with pytest.raises(InputError, match=r"compute\.full_on"):
        require_deployment(RunSettings.model_validate(settings))
