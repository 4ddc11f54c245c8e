"""Versions and aliases in a real MLflow on a file."""

import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from data_contracts.errors import InputError, RegistryError
from data_contracts.records.evidence import CurvePoint
from data_contracts.records.registry import Alias
from tasks.registry.models import Registry, open_registry, registry_at_hand
from tasks.registry.place import LOCATION_VARIABLE, registry_location, shown
from tests.tasks.registry.made import candidate, crowning

CURVE = (
    CurvePoint(step=0, train_loss=None, tune_loss=2.5, learning_rate=0.0),
    CurvePoint(step=10, train_loss=1.5, tune_loss=1.25, learning_rate=1e-3),
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(tmp_path)


def test_a_version_holds_what_it_refers_to_and_its_learning_curve(registry: Registry) -> None:
    assert registry.models() == () and registry.versions("topics") == ()
    made = registry.add(candidate("run-1"), CURVE)
    assert (made.version, made.candidate) == (1, candidate("run-1"))
    assert made.aliases == () and made.crowned is None and made.withdrawn is None
    held = registry.client.get_model_version("topics", "1")
    assert held.source == "dossier://run-1/pilot-1-lora-r8/adapter"
    assert held.tags["lorafirst.artifact_digest"] == made.candidate.artifact_digest
    losses = registry.client.get_metric_history(held.run_id, "tune_loss")
    assert [(each.step, each.value) for each in losses] == [(0, 2.5), (10, 1.25)]
    assert len(registry.client.get_metric_history(held.run_id, "train_loss")) == 1


def test_the_same_again_is_the_same_version(registry: Registry) -> None:
    first, second = (registry.add(candidate(run), CURVE) for run in ("run-1", "run-2"))
    assert registry.add(candidate("run-1"), CURVE) == first
    assert registry.versions("topics") == (first, second)


def test_an_alias_is_one_versions_alone(registry: Registry) -> None:
    first, second = (registry.add(candidate(run), ()) for run in ("run-1", "run-2"))
    registry.crown(first, crowning(1))
    registry.call(first, Alias.CHAMPION)
    registry.call(first, Alias.ANCHOR)
    registry.call(second, Alias.CHAMPION)
    registry.uncall(first, Alias.CHAMPION)
    registry.withdraw(first, "complaints")
    first, second = registry.versions("topics")
    assert (first.aliases, second.aliases) == ((Alias.ANCHOR,), (Alias.CHAMPION,))
    assert (first.crowned, first.withdrawn) == (crowning(1), "complaints")
    registry.restore(first)
    assert registry.versions("topics")[0].withdrawn is None


def test_what_others_keep_in_the_registry_is_left_alone(registry: Registry) -> None:
    registry.client.create_registered_model("topics")
    registry.client.create_model_version("topics", "somewhere")
    made = registry.add(candidate("run-1"), ())
    assert registry.versions("topics") == (made,) and made.version == 2


def test_more_versions_than_a_page_holds(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.registry.models._PAGE", 2)
    for number in range(5):
        registry.add(candidate(f"run-{number}"), ())
        registry.add(candidate(f"run-{number}", f"model-{number}"), ())
    assert [each.version for each in registry.versions("topics")] == [1, 2, 3, 4, 5]
    assert len(registry.models()) == 6


def test_a_registry_elsewhere_is_named_by_the_environment_and_its_password_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry_at_hand(tmp_path) is None
    monkeypatch.setenv(LOCATION_VARIABLE, str(tmp_path / "elsewhere" / "models.db"))
    assert registry_location(tmp_path) == f"sqlite:///{tmp_path}/elsewhere/models.db"
    assert open_registry(tmp_path).add(candidate("run-1"), ()).version == 1
    assert (tmp_path / "elsewhere" / "models.db").is_file()
    assert shown("https://ada:planted-4711@models.example/x") == "https://models.example/x"
    monkeypatch.setenv(LOCATION_VARIABLE, "http://ada:planted-4711@127.0.0.1:9/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError) as refused:
        open_registry(tmp_path).models()
    told = "".join(traceback.format_exception(refused.value))
    assert "http://127.0.0.1:9/" in told and "planted" not in told


def test_a_server_by_url_keeps_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mlflow_server(tmp_path / "served") as url:
        monkeypatch.setenv(LOCATION_VARIABLE, url)
        registry = open_registry(tmp_path)
        first, second = (registry.add(candidate(run), CURVE) for run in ("run-1", "run-2"))
        assert registry.add(candidate("run-1"), CURVE) == first
        registry.crown(first, crowning(1))
        registry.call(first, Alias.CHAMPION)
        registry.call(second, Alias.CHALLENGER)
        registry.uncall(second, Alias.CHALLENGER)
        registry.withdraw(second, "complaints")
        one, other = registry.versions("topics")
        assert (one.aliases, one.crowned) == ((Alias.CHAMPION,), crowning(1))
        assert (other.aliases, other.withdrawn) == ((), "complaints")
        assert registry.models() == ("topics",)
    assert not (tmp_path / ".registry").exists()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow server on a loopback port; the skinny package holds it, less a command to start it."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = f"sqlite:///{folder}/mlflow.db"
    own = {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
    }
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while not _answers(f"http://127.0.0.1:{port}/health"):
                assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_file_that_is_no_registry_is_told(tmp_path: Path) -> None:
    path = tmp_path / ".registry" / "mlflow.db"
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(RegistryError, match=r"mlflow\.db"):
        open_registry(tmp_path).models()


def test_without_mlflow_it_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; sys.modules['mlflow'] = None\n"
        "from tasks.registry.models import open_registry\n"
        "open_registry(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, env=os.environ
    )
    assert InputError.__name__ in done.stderr and "pip install 'lorafirst[registry]'" in done.stderr


def test_it_needs_neither_prefect_nor_torch_and_tells_nobody(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, os\n"
        "from tasks.registry.models import open_registry\n"
        "open_registry(pathlib.Path(sys.argv[1])).models()\n"
        "print(sorted({'torch', 'prefect'} & set(sys.modules)), os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] true"
    assert done.stderr == ""
